"""tcpserver under attack: it keeps serving, says what is wrong once in a while, and never spins."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, Processes, ours, until
from tests.tcp.nameserver import Zone, loopback, nameserver
from tests.tcp.serving import NAMELESS, Serving, compile_rules, greeting, serve, smtp_home

# What a process may use at most, of one CPU, while nothing happens but an attack that waits: seconds.
IDLE = 0.3


def cpu(server: Serving) -> float:
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


def memory(server: Serving) -> int:
    return psutil.Process(server.process.pid).memory_info().rss


def turns(server: Serving) -> int:
    return psutil.Process(server.process.pid).num_ctx_switches().voluntary


@contextlib.contextmanager
def many(server: Serving, count: int, ip: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    try:
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(server.client(ip)) for _ in range(count)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_connections_of_one_client_are_its_own_problem(processes: Processes, folder: Path) -> None:
    options = ("-HRlhere", "-b", "4000", "-c", "50", "--max-per-ip", "20", "--refusal", "421 enough")
    server = serve(processes, folder, "sh", "-c", "echo in; exec cat", options=options)
    with many(server, 10_000):
        server.until_logged("MAXCONNIP:20$", 9_980, seconds=5 * DEADLINE)
        before = cpu(server)
        with server.client("127.0.0.2") as other:
            assert greeting(other) == b"in\n"
        assert cpu(server) - before < IDLE
    until(lambda: not server.children())


HELD = r"""
#include <unistd.h>
int main(void) { char c; while (read(0, &c, 1) > 0) {} return 0; }
"""


@pytest.mark.slow
def test_ten_thousand_sessions_that_say_nothing(processes: Processes, folder: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for a handler that is small enough")
    (folder / "held.c").write_text(HELD)
    subprocess.run([compiler, "-O2", "-static", "-o", folder / "held", folder / "held.c"], check=True)
    server = serve(processes, folder, folder / "held", options=("-HRlhere", "-b", "4000", "-c", "10000"))
    small, few = memory(server), server.descriptors()
    with many(server, 10_000):
        server.until_logged("^tcpserver: status: 10000/10000$", seconds=5 * DEADLINE)
        before = cpu(server)
        assert server.descriptors() == few
        assert memory(server) < small + (8 << 20)
        assert cpu(server) - before < IDLE
    server.until_logged(r"^tcpserver: end ", 10_000, seconds=5 * DEADLINE)
    assert server.get(say=b"x") == b""


def test_twenty_thousand_connections_leave_nothing_behind(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, "127.0.0.2:deny\n")
    options = (*NAMELESS, "-b", "1000", "-x", rules, "--rate", "1000000/1", "--max-per-ip", "1000")
    server = serve(processes, folder, "true", options=options)
    # The first ones fill the tables that stay.
    for _ in range(500):
        server.get("127.0.0.2")
        server.get()
    until(lambda: not server.children() and server.log()[-1].endswith(" status: 0/40"))
    small, few = memory(server), server.descriptors()
    assert small < 15 << 20
    for _ in range(19_000):
        with server.client("127.0.0.2") as client:
            client.recv(1)
    for _ in range(500):
        server.get()
    until(lambda: not server.children() and server.log()[-1].endswith(" status: 0/40"))
    assert server.descriptors() == few
    assert memory(server) < small + (1 << 20)


def test_half_open_connections_hold_up_nobody(processes: Processes, folder: Path) -> None:
    options = (*NAMELESS, "-c", "4", "--max-per-ip", "2")
    server = serve(processes, folder, "sh", "-c", "echo in; exec cat", options=options)
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", server.port))
            # Reset before, while or after it is accepted.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with server.client("127.0.0.2") as other:
        assert greeting(other) == b"in\n"


@pytest.mark.root
def test_a_silent_name_server_and_a_silent_ident_hold_up_their_own_client_only(
    processes: Processes, folder: Path
) -> None:
    slow = loopback()
    with nameserver(Zone(silent=True), 53) as names, socket.create_server((slow, 113)):
        env = {"DNSCACHEIP": names.ip}
        options = ("-lhere", "-t", "600", "-h", "-c", "40")
        server = serve(processes, folder, "echo", "in", options=options, env=env)
        with many(server, 30, slow):
            server.until_logged(rf"^tcpserver: pid \d+ from {slow}$", 30)
            before = cpu(server)
            until(lambda: len(server.children()) == 30)
            quick = serve(processes, folder, "echo", "in", options=NAMELESS)
            assert quick.get() == b"in\n"
            assert cpu(server) - before < IDLE
        for child in server.children():
            with contextlib.suppress(psutil.Error):
                child.kill()
        server.until_logged(r"^tcpserver: end ", 30)


def test_a_storm_of_ended_children_is_reaped(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "sh", "-c", "echo in; read line", options=(*NAMELESS, "-c", "300", "-b", "300"))
    with many(server, 200) as clients:
        for client in clients:
            assert greeting(client) == b"in\n"
        for child in server.children():
            child.kill()
    server.until_logged("^tcpserver: end ", 200)
    for _ in range(200):
        server.process.send_signal(17)
    server.until_logged("^tcpserver: status: 0/300$", 2)
    assert server.get(say=b"\n") == b"in\n"
    until(lambda: not server.children())


def test_sigchld_without_children_is_no_trouble(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "echo", "in")
    for _ in range(1000):
        server.process.send_signal(17)
    assert server.get() == b"in\n"


def limited(folder: Path, *limits: str) -> Path:
    program = folder / "tcpserver"
    program.write_text(f'#!/bin/sh\nexec softlimit {" ".join(limits)} {ours("tcpserver")} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.mark.root
@pytest.mark.parametrize("handler", ["foreign", "ours"])
def test_without_processes_it_says_so_once_and_rests(processes: Processes, folder: Path, handler: str) -> None:
    words = ("cat",) if handler == "foreign" else ("qmail-smtpd",)
    # The limit binds no root; it is looked at again after the change of user.
    options = (*NAMELESS, "-u", "54322", "-b", "100")
    program = limited(folder, "-p", "0")
    server = serve(processes, folder, *words, options=options, program=program, env=smtp_home(folder))
    before = cpu(server)
    for _ in range(3):
        assert server.get() == b""
    assert len([line for line in server.log() if "unable to fork" in line]) == 1
    assert cpu(server) - before < IDLE
    assert server.process.poll() is None


@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_memory_it_says_so_and_serves_when_there_is_some(
    processes: Processes, folder: Path, workers: str
) -> None:
    options = (*NAMELESS, "--workers", workers, "-b", "100")
    server = serve(processes, folder, "qmail-smtpd", options=options, env=smtp_home(folder))
    process = psutil.Process(server.process.pid)
    _, most = process.rlimit(psutil.RLIMIT_AS)
    for child in server.children():
        child.kill()
    process.rlimit(psutil.RLIMIT_AS, (1 << 20, most))
    before, slept = cpu(server), turns(server)
    for _ in range(3):
        with contextlib.suppress(OSError):
            server.get()
    until(lambda: turns(server) >= slept + 3)
    assert cpu(server) - before < IDLE
    assert server.process.poll() is None
    process.rlimit(psutil.RLIMIT_AS, (most, most))

    def served() -> bool:
        return server.get(say=b"QUIT\r\n").startswith(b"220 host.example ESMTP\r\n")

    until(served)


def test_slow_senders_hold_up_nobody(processes: Processes, folder: Path) -> None:
    options = (*NAMELESS, "--proxy", "127.0.0.3", "-c", "60")
    server = serve(processes, folder, "echo", "in", options=options)
    with many(server, 30, "127.0.0.3") as clients:
        for client in clients:
            client.sendall(b"PROXY ")
        assert server.get() == b"in\n"
        before = cpu(server)
        assert server.get() == b"in\n"
        assert cpu(server) - before < IDLE
