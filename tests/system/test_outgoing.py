from __future__ import annotations

import os
import socket

import pytest

from svtree.system.outgoing import connect
from tests.harness import free_port


def test_a_connection_is_close_on_exec_and_waits_no_longer_than_it_was_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = connect("127.0.0.1", listener.getsockname()[1], 5)
        try:
            assert not os.get_inheritable(connection.fileno())
            connection.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        finally:
            connection.close()


def test_nobody_listening_is_refused_and_leaves_nothing_open() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect("127.0.0.1", free_port(), 5)


@pytest.mark.parametrize("port", [-1, 0, 65536, 10**30])
def test_a_port_that_is_none_is_an_ordinary_failure(port: int) -> None:
    with pytest.raises(OSError, match="no such port"):
        connect("127.0.0.1", port, 5)


def test_no_answer_within_the_time_is_a_time_out() -> None:
    # A listener whose backlog is full answers nothing.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        with pytest.raises(TimeoutError):
            connect("127.0.0.1", full.getsockname()[1], 0.3)
        for each in waiting:
            each.close()
