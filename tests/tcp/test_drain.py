"""--drain: TERM ends accepting at once, and tcpserver when its sessions have ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, until
from tests.tcp.serving import NAMELESS, Serving, everything, greeting, serve, smtp_home


def refused(server: Serving) -> bool:
    try:
        with server.client():
            return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize("workers", ["0", "2"])
def test_sessions_are_waited_for_and_nobody_else_comes_in(processes: Processes, folder: Path, workers: str) -> None:
    options = (*NAMELESS, "--drain", "600", "--workers", workers)
    server = serve(processes, folder, "qmail-smtpd", options=options, env=smtp_home(folder))
    with server.client() as client:
        greeting(client)
        os.kill(server.process.pid, signal.SIGTERM)
        until(lambda: refused(server))
        assert server.process.poll() is None
        client.sendall(b"QUIT\r\n")
        assert everything(client) == b"221 host.example\r\n"
    assert server.process.wait(DEADLINE) == 0
    server.until_logged(r"end \d+ status 0$")


def test_without_sessions_there_is_nothing_to_wait_for(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat", options=(*NAMELESS, "--drain", "600"))
    assert server.stop() == 0


def test_the_wait_has_an_end(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "sh", "-c", "echo here; exec cat", options=(*NAMELESS, "--drain", "1"))
    with server.client() as client:
        greeting(client)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began > 0.9
        # The session goes on all the same.
        client.sendall(b"still\n")
        assert greeting(client) == b"still\n"


def test_a_second_term_does_not_wait(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "sh", "-c", "echo here; exec cat", options=(*NAMELESS, "--drain", "600"))
    with server.client() as client:
        greeting(client)
        server.process.terminate()
        until(lambda: refused(server))
        assert server.stop() == 0
