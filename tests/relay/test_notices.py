"""relay-ctrl-send and relay-ctrl-udp, with each other and with a host that does as the original's packet.html says."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.relay import notices
from svtree.relay.grants import Grants
from tests.harness import DEADLINE, Processes, Result, free_port, ours, run, until


@pytest.fixture
def spool(folder: Path) -> Path:
    (folder / "spool").mkdir()
    return folder / "spool"


def receiver(processes: Processes, spool: Path, port: int, **env: str) -> subprocess.Popen[bytes]:
    settings = {"RELAY_CTRL_DIR": str(spool), "RELAY_CTRL_PORT": str(port), "RELAY_CTRL_IP": "127.0.0.1", **env}
    return processes.start([ours("relay-ctrl-udp")], env=settings)


def send(port: int, client: str = "192.0.2.7", **env: str) -> Result:
    """What relay-ctrl-send and its background say, when all of it has ended."""
    settings = {
        "TCPREMOTEIP": client,
        "RELAY_CTRL_REMOTES": "127.0.0.1",
        "RELAY_CTRL_PORT": str(port),
        # One a second, in vain only if nobody answers.
        "RELAY_CTRL_TRIES": "60",
        **env,
    }
    done = run([ours("relay-ctrl-send"), "sh", "-c", "echo went on; exit 3"], env=settings)
    return Result(done.code, done.out, re.sub(rb"\[\d+\]", b"[PID]", done.err))


def asked(port: int, data: bytes) -> bytes:
    """The answer to a datagram, empty where there is none within a moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.sendto(data, ("127.0.0.1", port))
        try:
            return client.recv(10)
        except TimeoutError:
            return b""


@contextlib.contextmanager
def host() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(DEADLINE)
        yield made, made.getsockname()[1]


@pytest.mark.parametrize(
    ("client", "name"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8::0:1", "2001:db8::1")],
)
def test_what_one_host_sends_the_other_grants(spool: Path, processes: Processes, client: str, name: str) -> None:
    port = free_port()
    receiver(processes, spool, port)
    until(lambda: asked(port, b"198.51.100.1") == b"\1", what="relay-ctrl-udp listens")
    assert send(port, client) == Result(3, b"went on\n", b"")
    assert (spool / name).is_file()
    show = ["sh", "-c", "echo ${RELAYCLIENT-none}"]
    check = run([ours("relay-ctrl-check"), *show], env={"TCPREMOTEIP": client, "RELAY_CTRL_DIR": str(spool)})
    assert check.out == b"\n"


@pytest.mark.parametrize("data", [b"", b"hello", b"../../etc/passwd", b"1.2.3", b"1.2.3.4/x", b"\xff" * 600])
def test_what_is_no_address_is_complained_of_and_not_answered(spool: Path, processes: Processes, data: bytes) -> None:
    port = free_port()
    process = receiver(processes, spool, port)
    until(lambda: asked(port, b"198.51.100.1") == b"\1", what="relay-ctrl-udp listens")
    assert asked(port, data) == b""
    # It has been dealt with when the next one has.
    until(lambda: asked(port, b"198.51.100.1") == b"\1")
    assert {path.name for path in spool.iterdir()} == {"198.51.100.1", ".aged"}
    process.terminate()
    assert process.communicate()[1] == b"relay-ctrl-udp: Warning: Invalid IP from '127.0.0.1'.\n"


def test_the_receiver_listens_on_both_kinds_of_addresses(spool: Path, processes: Processes) -> None:
    port = free_port()
    receiver(processes, spool, port, RELAY_CTRL_IP="")
    until(lambda: asked(port, b"198.51.100.1") == b"\1", what="relay-ctrl-udp listens")
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    assert send(port, RELAY_CTRL_REMOTES="127.0.0.1,::1").err == b""


def test_a_host_is_told_again_until_it_answers_and_the_program_does_not_wait_for_that() -> None:
    with host() as (heard, port):
        settings = {"TCPREMOTEIP": "192.0.2.7", "RELAY_CTRL_REMOTES": "127.0.0.1", "RELAY_CTRL_PORT": str(port)}
        # The background has its standard error; its standard output is the session's alone.
        assert run([ours("relay-ctrl-send"), "echo", "went on"], env=settings | {"RELAY_CTRL_TRIES": "1"}).out
        assert heard.recvfrom(100)[0] == b"192.0.2.7"
        command = [ours("relay-ctrl-send"), "sh", "-c", "exit 0"]
        settings["RELAY_CTRL_TRIES"] = "60"
        with subprocess.Popen(command, env=os.environ | settings, stderr=subprocess.PIPE) as process:
            assert heard.recvfrom(100)[0] == b"192.0.2.7"
            again, sender = heard.recvfrom(100)
            assert again == b"192.0.2.7"
            # The program has ended while two tries were made.
            assert process.wait(DEADLINE) == 0
            heard.sendto(b"\1", sender)
            assert process.stderr is not None
            assert process.stderr.read() == b""


def test_a_host_that_never_answers_is_complained_of() -> None:
    with host() as (_, port):
        said = send(port, RELAY_CTRL_TRIES="1", RELAY_CTRL_REMOTES="127.0.0.1,nobody")
    assert said == Result(
        3,
        b"went on\n",
        b"relay-ctrl-send[PID]: Warning: Could not parse IP 'nobody'.\n"
        b"relay-ctrl-send[PID]: Warning: Timed out waiting for response from '127.0.0.1'.\n",
    )


@pytest.mark.parametrize(
    ("command", "env", "code", "err"),
    [
        (["relay-ctrl-send"], {}, 111, b"relay-ctrl-send: usage: relay-ctrl-send program [args ...]\n"),
        (
            ["relay-ctrl-send", "true"],
            {},
            111,
            b"relay-ctrl-send: fatal: Must be run from tcp-env or tcpserver.\n",
        ),
        (
            ["relay-ctrl-send", "true"],
            {"TCPREMOTEIP": "127.0.0.1"},
            0,
            b"relay-ctrl-send[PID]: Warning: $RELAY_CTRL_REMOTES is not set.\n",
        ),
        (["relay-ctrl-udp"], {}, 111, b"relay-ctrl-udp: fatal: $RELAY_CTRL_DIR is not set\n"),
        (
            ["relay-ctrl-udp"],
            {"RELAY_CTRL_DIR": "/missing"},
            111,
            b"relay-ctrl-udp: fatal: Could not change directory to '/missing': No such file or directory\n",
        ),
        (
            ["relay-ctrl-udp"],
            {"RELAY_CTRL_DIR": "/tmp", "RELAY_CTRL_IP": "198.51.100.1"},
            111,
            b"relay-ctrl-udp: fatal: Could not bind socket: Cannot assign requested address.\n",
        ),
    ],
)
def test_texts_and_exit_codes(command: list[str], env: dict[str, str], code: int, err: bytes) -> None:
    done = run([ours(command[0]), *command[1:]], env=env)
    assert (done.code, re.sub(rb"\[\d+\]", b"[PID]", done.err)) == (code, err)


def test_under_courier_nothing_is_sent_before_the_login() -> None:
    with host() as (heard, port):
        heard.setblocking(False)
        assert send(port, AUTHUSER="x", AUTHARGV0="y") == Result(3, b"went on\n", b"")
        with pytest.raises(BlockingIOError):
            heard.recv(100)


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, notices.Settings(811, 5, 1)),
        ({notices.PORT: b"8110", notices.TRIES: b"2", notices.TIMEOUT: b"3"}, notices.Settings(8110, 2, 3)),
        ({notices.PORT: b"x", notices.TRIES: b"-1", notices.TIMEOUT: b"0"}, notices.Settings(811, 5, 1)),
    ],
)
def test_the_settings(environ: dict[bytes, bytes], settings: notices.Settings) -> None:
    assert notices.settings(environ) == settings


def test_a_grant_ends_old_ones_by_itself_but_does_not_look_each_time(spool: Path) -> None:
    store = Grants(os.open(spool, os.O_RDONLY | os.O_DIRECTORY), shared=False)

    def old(name: str) -> Path:
        (spool / name).touch()
        os.utime(spool / name, (1, 1))
        return spool / name

    try:
        first, young = old("192.0.2.1"), spool / "192.0.2.2"
        young.touch()
        store.age_at_times(600)
        assert not first.exists()
        second = old("192.0.2.1")
        store.age_at_times(600)
        assert second.exists()
        old(".aged")
        store.age_at_times(600)
        assert not second.exists()
        assert young.exists()
    finally:
        store.close()


def test_a_login_is_what_ages(spool: Path) -> None:
    (spool / "192.0.2.1").touch()
    os.utime(spool / "192.0.2.1", (1, 1))
    env = {"RELAY_CTRL_DIR": str(spool), "RELAY_CTRL_EXPIRY": "600", "TCPREMOTEIP": "2001:db8::7"}
    assert run([ours("relay-ctrl-allow"), "true"], env=env) == Result(0, b"", b"")
    assert {path.name for path in spool.iterdir()} == {"2001:db8::7", ".aged"}
