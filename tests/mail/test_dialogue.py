from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from svtree.mail.dialogue import Dialogue, GoneError, SilentError
from svtree.system import farewell


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_what_is_said_leaves_before_something_is_heard(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    with Dialogue(5, server.fileno(), server.fileno()) as dialogue:
        client.sendall(b"hello")
        dialogue.say(b"one ")
        dialogue.say(b"two")
        assert dialogue.hear() == b"hello"
        assert client.recv(100) == b"one two"


@pytest.mark.parametrize("held_back", [0, 3, 9])
def test_last_words_are_sent_whole_however_many_of_them_wait_for_the_end(
    pair: tuple[socket.socket, socket.socket], held_back: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = pair
    monkeypatch.setattr(farewell, "say", lambda descriptor, words: os.write(descriptor, bytes(words[:held_back])))
    with Dialogue(5, server.fileno(), server.fileno()) as dialogue:
        dialogue.say(b"last words")
        dialogue.part()
        assert client.recv(100, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"last words"


def test_no_more_is_heard_than_is_asked_for(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    with Dialogue(5, server.fileno(), server.fileno()) as dialogue:
        client.sendall(b"hello")
        assert dialogue.hear(1) == b"h"
        assert server.recv(100) == b"ello"


def test_a_client_that_closes_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    with Dialogue(5, server.fileno(), server.fileno()) as dialogue:
        client.close()
        with pytest.raises(GoneError):
            dialogue.hear()
        dialogue.say(b"x")
        with pytest.raises(GoneError):
            dialogue.flush()


def test_a_client_that_says_nothing_is_silent(pair: tuple[socket.socket, socket.socket]) -> None:
    _, server = pair
    with Dialogue(0.01, server.fileno(), server.fileno()) as dialogue, pytest.raises(SilentError):
        dialogue.hear()


def test_a_client_that_takes_nothing_is_silent_on_a_socket_and_on_a_pipe(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    reading, writing = os.pipe()
    try:
        for sink in (pair[1].fileno(), writing):
            with Dialogue(0.01, pair[1].fileno(), sink) as dialogue, pytest.raises(SilentError):
                dialogue.say(b"x" * 10_000_000)
            assert os.get_blocking(sink)
    finally:
        os.close(reading)
        os.close(writing)


def test_all_arrives_however_slowly_it_is_taken(folder: object, pair: tuple[socket.socket, socket.socket]) -> None:
    data = bytes(range(256)) * 20_000
    reading, writing = os.pipe()
    master, terminal = os.openpty()
    sinks = [(pair[0].fileno(), pair[1].fileno()), (reading, writing)]
    try:
        for source, sink in sinks:
            taken: list[bytes] = []

            def take(source: int = source, taken: list[bytes] = taken) -> None:
                while sum(map(len, taken)) < len(data):
                    taken.append(os.read(source, 5000))

            taker = threading.Thread(target=take)
            taker.start()
            with Dialogue(10, 0, sink) as dialogue:
                for at in range(0, len(data), 100_000):
                    dialogue.say(data[at : at + 100_000])
                dialogue.flush()
            taker.join()
            assert b"".join(taken) == data
        # A terminal knows no write that refuses to wait.
        with Dialogue(10, 0, terminal) as dialogue:
            dialogue.say(b"220 host\n")
            dialogue.flush()
        assert os.read(master, 100) == b"220 host\r\n"
    finally:
        for each in (reading, writing, master, terminal):
            os.close(each)


def test_sigpipe_is_ignored_inside_and_as_before_outside(pair: tuple[socket.socket, socket.socket]) -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with Dialogue(1, pair[1].fileno(), pair[1].fileno()):
            assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGPIPE) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGPIPE, before)
