from __future__ import annotations

import os
import socket
import struct
import threading

from tests.harness import DEADLINE, Processes, ours, run
from tests.tcp.answering import answering
from tests.tcp.nameserver import loopback


def test_a_person_and_a_server_talk_in_turn(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = processes.start([ours("mconnect"), "0", str(port)], stdin=-1)
        assert started.stdin is not None
        assert started.stdout is not None
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(DEADLINE)
            connection.sendall(b"220 ready\r\n")
            assert os.read(started.stdout.fileno(), 100) == b"220 ready\r\n"
            started.stdin.write(b"HELO x\n")
            started.stdin.flush()
            assert connection.recv(100) == b"HELO x\r\n"
            connection.sendall(b"250 ok\r\n")
            assert os.read(started.stdout.fileno(), 100) == b"250 ok\r\n"
            started.stdin.close()
            connection.sendall(b"still here\r\n")
            assert os.read(started.stdout.fileno(), 100) == b"still here\r\n"
        assert started.wait(DEADLINE) == 0


def test_both_may_say_much_at_once_without_waiting_for_each_other(processes: Processes) -> None:
    much = b"x" * 79 + b"\n"
    with answering(much * 50_000, until=b"\n") as server:
        done = run([ours("mconnect"), "0", str(server.port)], stdin=much * 20_000)
    assert done.code == 0
    # What the server does not read it may reset, so the end need not be there.
    assert done.out[:80] == much


def test_a_connection_that_breaks_is_a_code_and_what_came_is_shown() -> None:
    ip = loopback()
    with socket.create_server((ip, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"some\n")
            # To linger for no time is to reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        done = run([ours("tcpcat"), ip, str(listener.getsockname()[1])])
        thread.join()
    assert done.code == 111


def test_an_output_that_cannot_be_written_is_told() -> None:
    with answering(b"hello\r\n") as server:
        done = run(["sh", "-c", f"{ours('tcpcat')} 0 {server.port} > /dev/full"])
    assert (done.code, done.err) == (111, b"tcpcat: fatal: unable to write: out of disk space\n")
