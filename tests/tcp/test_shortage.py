"""Without memory: nothing ends, what was missed is made good, and TERM is heard."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tests.tcp.hungry
from svtree.system.loop import Loop
from svtree.tcp import shortage
from tests.harness import DEADLINE, Processes, until
from tests.tcp.serving import NAMELESS, Serving, connected, everything, greeting, serve, smtp_home


def start(processes: Processes, folder: Path, *options: str) -> Serving:
    """A tcpserver that can be made to starve."""
    return serve(
        processes,
        folder,
        "qmail-smtpd",
        options=(*NAMELESS, *options),
        program=tests.tcp.hungry.__file__,
        before=(sys.executable,),
        env=smtp_home(folder),
    )


def starve(server: Serving, times: int = 1) -> None:
    server.process.send_signal(signal.SIGUSR1)
    server.until_logged("eaten$", times)


def feed(server: Serving, times: int = 1) -> None:
    server.process.send_signal(signal.SIGUSR2)
    server.until_logged("given back$", times)


def is_served(server: Serving) -> bool:
    with server.client() as client, contextlib.suppress(AssertionError, ConnectionError):
        assert greeting(client) == b"220 host.example ESMTP\r\n"
        client.sendall(b"QUIT\r\n")
        return everything(client) == b"221 host.example\r\n"
    return False


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--rate", "1000/1")])
def test_after_a_famine_everything_is_as_before(processes: Processes, folder: Path, options: tuple[str, ...]) -> None:
    server = start(processes, folder, *options)
    assert is_served(server)
    for time in (1, 2, 3):
        with connected(server, 3) as clients:
            for client in clients:
                greeting(client)
            starve(server, time)
            # Sessions that end, and connections that come, while there is no memory.
            clients[0].sendall(b"QUIT\r\n")
            clients[1].shutdown(socket.SHUT_RDWR)
            with connected(server, 5):
                feed(server, time)
        until(lambda: is_served(server))
    until(lambda: server.log()[-1] == "tcpserver: status: 0/40")
    assert server.process.poll() is None


def test_term_is_heard_in_a_famine(processes: Processes, folder: Path) -> None:
    server = start(processes, folder, "--workers", "1")
    starve(server)
    with connected(server, 3):
        assert server.stop() == 0


def test_what_a_loop_could_not_do_for_lack_of_memory_it_does_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortage, "REST", 0.01)
    done: list[str] = []
    loop = Loop()

    def fail_twice(name: str) -> None:
        done.append(name)
        if done.count(name) < 3:
            raise MemoryError
        if name == "timer":
            loop.stop()

    loop.after(0, lambda: fail_twice("timer"))
    shortage.run(loop, lambda: fail_twice("spare"), lambda: fail_twice("catch up"))
    loop.close()
    assert done.count("timer") == 3
    assert done.count("spare") >= 2
    assert "catch up" in done


def test_the_glutton_eats(folder: Path) -> None:
    eat = "from tests.tcp import hungry; hungry.eat(); bytes(100_000)"
    done = subprocess.run([sys.executable, "-c", eat], capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode != 0
    assert b"MemoryError" in done.stderr
