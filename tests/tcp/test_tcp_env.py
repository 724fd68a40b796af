"""tcp-env, as inetd runs it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.harness import DEADLINE, Result, environment, ours, run
from tests.tcp.nameserver import Zone, nameserver

SHOW = ("sh", "-c", "env | grep -E '^(TCP|PROTO)' | sort")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the client's end and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def served(server: socket.socket, *argv: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
    """Run tcp-env on a connection; its exit code, and the variables that the program saw."""
    done = subprocess.run(
        [ours("tcp-env"), *argv, *SHOW],
        stdin=server.fileno(),
        env=environment(env),
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, dict(line.split("=", 1) for line in done.stdout.decode().splitlines())


@pytest.mark.root
def test_both_ends_are_described(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    zone = Zone(names={"1.0.0.127.in-addr.arpa": "Local.Host.EXAMPLE"})
    with nameserver(zone, 53) as names:
        code, seen = served(server, "-R", env={"DNSCACHEIP": names.ip, "TCPREMOTEINFO": "old"})
    assert code == 0
    assert seen == {
        "PROTO": "TCP",
        "TCPLOCALIP": "127.0.0.1",
        "TCPLOCALPORT": str(server.getsockname()[1]),
        "TCPLOCALHOST": "local.host.example",
        "TCPREMOTEIP": "127.0.0.1",
        "TCPREMOTEPORT": str(client.getsockname()[1]),
        "TCPREMOTEHOST": "local.host.example",
    }


@pytest.mark.root
def test_a_name_that_is_not_there_is_left_out(ends: tuple[socket.socket, socket.socket]) -> None:
    with nameserver(Zone(), 53) as names:
        code, seen = served(ends[1], "-t", "1", env={"DNSCACHEIP": names.ip, "TCPREMOTEHOST": "old"})
    assert code == 0
    assert not {"TCPLOCALHOST", "TCPREMOTEHOST", "TCPREMOTEINFO"} & set(seen)


@pytest.mark.root
def test_a_name_that_nobody_can_tell_now_is_a_soft_error(ends: tuple[socket.socket, socket.socket]) -> None:
    with nameserver(Zone(code=2), 53) as names:
        seen = served(ends[1], "-R", env={"DNSCACHEIP": names.ip})[1]
    assert seen["TCPREMOTEHOST"] == seen["TCPLOCALHOST"] == "softdnserror"


def test_what_tcpserver_has_told_already_stays() -> None:
    done = run([ours("tcp-env"), *SHOW], env={"PROTO": "TCP", "TCPREMOTEIP": "192.0.2.1"})
    assert done == Result(0, b"PROTO=TCP\nTCPREMOTEIP=192.0.2.1\n", b"")


def test_without_a_connection_nothing_is_run() -> None:
    assert run([ours("tcp-env"), *SHOW], env={"PROTO": "UDP"}) == Result(111, b"", b"")
    first, second = socket.socketpair()
    with first, second:
        assert served(first) == (111, {})
    assert run([ours("tcp-env")]).code == 111
