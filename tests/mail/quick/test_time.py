"""A connection to qmail-qmqpd and qmail-qmtpd has its time, whatever the client does with it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path

import pytest

from svtree.mail.queue.layout import make_queue
from tests.harness import DEADLINE, Processes, ours, run

servers = pytest.mark.parametrize("server", ["qmail-qmqpd", "qmail-qmtpd"])


def started(
    server: str, folder: Path, processes: Processes, *words: str
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    make_queue(bytes(folder))
    (folder / "control").mkdir()
    (folder / "control" / "me").write_text("mail.example.com\n")
    client, theirs = socket.socketpair()
    client.settimeout(DEADLINE)
    with theirs:
        env = {"QMAILHOME": str(folder), "RELAYCLIENT": ""}
        process = processes.start([ours(server), *words], env=env, stdin=theirs.fileno(), stdout=theirs.fileno())
    return process, client


@servers
def test_a_silent_client_is_left_without_a_word(server: str, folder: Path, processes: Processes) -> None:
    process, client = started(server, folder, processes, "-t", "1")
    with client:
        assert client.recv(1) == b""
        assert process.wait(DEADLINE) == 111


@servers
def test_a_client_that_sends_for_ever_has_no_more_time_and_its_message_is_forgotten(
    server: str, folder: Path, processes: Processes
) -> None:
    process, client = started(server, folder, processes, "-t", "1")
    with client:
        client.sendall(b"900000000:" + (b"800000000:" if server == "qmail-qmqpd" else b"\n"))
        with contextlib.suppress(OSError):
            while True:
                client.sendall(b"x" * 100)
        assert process.wait(DEADLINE) == 111
    assert [path for path in (folder / "queue").rglob("*") if path.is_file() and path.stat().st_size > 2000] == []


@servers
@pytest.mark.parametrize("words", [["-t", "0"], ["-t", "x"], ["-t"], ["-x"], ["word"], ["-t", "99999999"]])
def test_misuse_is_told(server: str, words: list[str]) -> None:
    done = run([ours(server), *words])
    assert done.code == 100
    assert f"{server}: usage: {server} [ -t seconds ]".encode() in done.err
