"""syslog-receiver as a process."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from svtree.system import fifo
from tests.harness import DEADLINE, Processes, Result, environment, free_port, ours, run, until


def send(path: Path, *messages: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.settimeout(DEADLINE)
        client.connect(str(path))
        for message in messages:
            client.send(message)


def start(
    folder: Path, processes: Processes, *words: str, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with (folder / "out").open("ab") as out:
        return processes.start([ours("syslog-receiver"), *words], cwd=folder, stdout=out.fileno(), env=env)


def came(folder: Path, data: bytes) -> bool:
    return (folder / "out").read_bytes() == data


def test_each_message_is_one_line(folder: Path, processes: Processes) -> None:
    receiver = start(folder, processes, "unix:socket")
    until((folder / "socket").exists)
    send(
        folder / "socket",
        b"<30>Nov  5 09:08:07 smtpd[7]: a\nb\\",
        b"",
        b"no header",
        b"<22>1 - h q - - - x",
        b"\0\xff\n",
    )
    until(
        partial(
            came,
            folder,
            b"daemon.info smtpd[7]: a\\nb\\\\\nuser.notice no header\nmail.info h q: x\nuser.notice \\x00\xff\n",
        )
    )
    receiver.terminate()
    assert receiver.wait(DEADLINE) == 0


@pytest.mark.parametrize(("words", "mode"), [((), 0o666), (("-m", "600"), 0o600), (("-m0620",), 0o620)])
def test_the_socket_has_the_mode_asked_for(
    folder: Path, processes: Processes, words: tuple[str, ...], mode: int
) -> None:
    start(folder, processes, *words, "unix:socket")
    until(lambda: stat.S_IMODE((folder / "socket").stat().st_mode) == mode)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("unix:",),
        ("unix:a", "b"),
        ("tcp:127.0.0.1:5",),
        ("-m", "8", "unix:x"),
        ("-m", "1777", "unix:x"),
        ("-z",),
        ("x",),
    ],
)
def test_what_makes_no_sense_is_usage(folder: Path, words: tuple[str, ...]) -> None:
    result = run([ours("syslog-receiver"), *words], cwd=folder)
    assert result.code == 100
    assert result.err.endswith(b"syslog-receiver: usage: syslog-receiver [-m mode] unix:path | udp:host:port\n")


def test_a_dead_socket_is_replaced_and_a_live_one_or_a_file_is_not(folder: Path, processes: Processes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(folder / "socket"))
    first = start(folder, processes, "unix:socket")

    def answered() -> bool:
        send(folder / "socket", b"<30>t: x")
        return True

    until(answered)
    (folder / "file").touch()
    for name in ("socket", "file"):
        refused = run([ours("syslog-receiver"), f"unix:{name}"], cwd=folder)
        text = f"syslog-receiver: fatal: unable to bind unix:{name}: address already used\n"
        assert refused == Result(111, b"", text.encode())
    until(partial(came, folder, b"daemon.info t: x\n"))
    assert first.poll() is None


def test_udp(folder: Path, processes: Processes) -> None:
    port = free_port()
    start(folder, processes, f"udp:127.0.0.1:{port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))

        def sent() -> bool:
            client.send(b"<30>t: x")
            return b"daemon.info t: x\n" in (folder / "out").read_bytes()

        until(sent)
        client.send(b"")
        client.send(b"<30>t: y")
    until(lambda: (folder / "out").read_bytes().endswith(b"daemon.info t: y\n"))


def test_a_message_beyond_all_measure_is_cut_and_marked(folder: Path, processes: Processes) -> None:
    start(folder, processes, "unix:socket")
    until((folder / "socket").exists)
    send(folder / "socket", b"<30>t: " + b"x" * 100_000)
    until(lambda: (folder / "out").read_bytes().endswith(b"x...\n"))
    assert len((folder / "out").read_bytes()) < 70_000


def test_only_sploggers_own_repetition_is_left_out(folder: Path, processes: Processes) -> None:
    start(folder, processes, "unix:socket")
    until((folder / "socket").exists)
    stamped, other, plain = b"<30>t: 1700000000.000001 x", b"<30>u: 1700000000.000001 x", b"<30>t: x"
    send(
        folder / "socket",
        stamped,
        other,
        stamped,
        plain,
        plain,
        b"<30>t: 1700000000.000001+x",
        b"<30>t: 1700000000.000001+x",
    )
    until(lambda: (folder / "out").read_bytes().count(b"+x") == 2)
    lines = (folder / "out").read_bytes().splitlines()
    assert [line.partition(b".info ")[2] for line in lines] == [
        b"t: 1700000000.000001 x",
        b"u: 1700000000.000001 x",
        b"t: x",
        b"t: x",
        b"t: 1700000000.000001+x",
        b"t: 1700000000.000001+x",
    ]


def test_a_log_that_is_full_holds_the_senders_back_and_term_ends_it_all_the_same(
    folder: Path, processes: Processes
) -> None:
    reader, writer = os.pipe()
    receiver = processes.start([ours("syslog-receiver"), "unix:socket"], cwd=folder, stdout=writer)
    os.close(writer)
    until((folder / "socket").exists)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(str(folder / "socket"))
        client.settimeout(1)

        def held_back() -> bool:
            try:
                for _ in range(5000):
                    client.send(b"<30>t: " + b"x" * 1000)
            except TimeoutError:
                # Not by a receiver that is only slow.
                return fifo.unread(reader) > 32768
            pytest.fail("nobody is held back")

        until(held_back)
    receiver.terminate()
    assert receiver.wait(DEADLINE) == 0
    os.close(reader)


def test_the_socket_is_given_to_the_supervisor_and_taken_back(folder: Path, processes: Processes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(folder / "notify"))
        notify.settimeout(DEADLINE)
        env = {"NOTIFY_SOCKET": str(folder / "notify")}
        first = start(folder, processes, "unix:socket", env=env)
        data, kept, _, _ = socket.recv_fds(notify, 1000, 5)
        assert data == b"FDSTORE=1\nFDNAME=syslog"
        assert notify.recv(1000) == b"READY=1"
        first.kill()
        first.wait()
        # Nobody runs, and nothing is refused.
        send(folder / "socket", b"<30>t: meanwhile")
        words = [ours("syslog-receiver"), "unix:socket"]
        code = f"import os; os.dup2({kept[0]}, 3); os.execv({words[0]!r}, {words!r})"
        with (folder / "out").open("ab") as out:
            second = subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=folder,
                stdout=out.fileno(),
                env=environment({**env, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "syslog"}),
                pass_fds=kept,
            )
        try:
            until(partial(came, folder, b"daemon.info t: meanwhile\n"))
            assert notify.recv(1000) == b"READY=1"
        finally:
            second.terminate()
            assert second.wait(DEADLINE) == 0
            os.close(kept[0])
