"""Last words: in one packet with the end where that is certain to come, and at once elsewhere."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from svtree.system import farewell


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and our end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=30)
        server, _ = listener.accept()
    with client, server:
        yield client, server


@pytest.fixture
def expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a worker."""
    monkeypatch.setattr(farewell, "_shut_down_for_us", True)


def test_a_process_that_ends_its_connections_itself_holds_nothing_back(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    _, server = pair
    assert farewell.say(server.fileno(), b"bye\r\n") == 0


@pytest.mark.usefixtures("expected")
def test_last_words_come_with_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    assert farewell.say(server.fileno(), b"bye\r\n") == 5
    # Our end is still ours, to be shut down.
    server.shutdown(socket.SHUT_RDWR)
    assert client.recv(100) == b"bye\r\n"
    assert client.recv(100) == b""


@pytest.mark.usefixtures("expected")
def test_last_words_are_heard_by_a_client_that_has_said_too_much(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    client.sendall(b"QUIT\r\nand then some\r\n")
    assert server.recv(6) == b"QUIT\r\n"
    assert farewell.say(server.fileno(), b"bye\r\n") == 5
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    assert client.recv(100) == b"bye\r\n"


@pytest.mark.usefixtures("expected")
def test_what_is_no_socket_or_has_gone_takes_no_last_words(pair: tuple[socket.socket, socket.socket]) -> None:
    _, server = pair
    reading, writing = os.pipe()
    try:
        assert farewell.say(writing, b"bye\r\n") == 0
    finally:
        os.close(reading)
        os.close(writing)
    server.shutdown(socket.SHUT_RDWR)
    assert farewell.say(server.fileno(), b"bye\r\n") == 0
