"""splogger as a process, before real syslogs: local, remote, slow, away and killed."""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, environment, free_port, ours, run, until

Contents = Callable[[Path], bytes]


def bound(path: Path, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(str(path))
    if kind == socket.SOCK_STREAM:
        made.listen()
    made.settimeout(DEADLINE)
    return made


def mask(data: bytes) -> bytes:
    data = re.sub(rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ", b"DATE ", data)
    return re.sub(rb"\d{10}\.\d{6}", b"STAMP", data)


@pytest.mark.parametrize(
    ("words", "line", "message"),
    [
        ((), b"text", b"<22>DATE splogger: STAMP text"),
        (("qmail",), b"text", b"<22>DATE qmail: STAMP text"),
        (("smtpd", "3"), b"text", b"<30>DATE smtpd: STAMP text"),
        (("smtpd", "3"), b"warning: x", b"<28>DATE smtpd: STAMP warning: x"),
        (("smtpd", "3"), b"alert: x", b"<25>DATE smtpd: STAMP alert: x"),
        (("t", "16"), b"x", b"<134>DATE t: STAMP x"),
        (("t", "0"), b"x", b"<14>DATE t: STAMP x"),
        (("t", "x"), b"x", b"<14>DATE t: STAMP x"),
        (("t", "99999"), b"x", b"<14>DATE t: STAMP x"),
    ],
)
def test_a_line_is_a_message_as_libc_writes_it(
    folder: Path, words: tuple[str, ...], line: bytes, message: bytes
) -> None:
    with bound(folder / "log") as log:
        result = run([ours("splogger"), *words], stdin=line + b"\n", env={"SVTREE_SYSLOG": f"unix:{folder}/log"})
        assert (result.code, result.out, result.err) == (0, b"", b"")
        assert mask(log.recv(2000)) == message


def test_a_line_without_end_is_sent_at_the_end_of_input(folder: Path) -> None:
    with bound(folder / "log") as log:
        assert run([ours("splogger")], stdin=b"\n\nx", env={"SVTREE_SYSLOG": "unix:log"}, cwd=folder).code == 0
        assert mask(log.recv(2000)) == b"<22>DATE splogger: STAMP x"


def test_on_a_stream_messages_end_in_nul(folder: Path) -> None:
    with bound(folder / "log", socket.SOCK_STREAM) as log:
        sending = subprocess.Popen(
            [ours("splogger"), "t"], stdin=subprocess.PIPE, cwd=folder, env=environment({"SVTREE_SYSLOG": "unix:log"})
        )
        assert sending.stdin is not None
        sending.stdin.write(b"one\ntwo\n")
        sending.stdin.close()
        with log.accept()[0] as client:
            client.settimeout(DEADLINE)
            data = b"".join(iter(lambda: client.recv(1000), b""))
        assert mask(data) == b"<22>DATE t: STAMP one\0<22>DATE t: STAMP two\0"
        assert sending.wait(DEADLINE) == 0


def test_udp_carries_rfc_5424() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(DEADLINE)
        where = f"udp:127.0.0.1:{log.getsockname()[1]}"
        assert run([ours("splogger"), "smtpd", "3"], stdin=b"x\n", env={"SVTREE_SYSLOG": where}).code == 0
        pattern = rb"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ smtpd - - - \d+\.\d{6} x"
        assert re.fullmatch(pattern, log.recv(2000))


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        length, _, rest = data.partition(b" ")
        found.append(rest[: int(length)].rpartition(b" ")[2])
        data = rest[int(length) :]
    return found


def test_tcp_counts_octets_and_survives_a_receiver_that_restarts(processes: Processes) -> None:
    port = free_port()
    logger = processes.start([ours("splogger")], stdin=subprocess.PIPE, env={"SVTREE_SYSLOG": f"tcp:127.0.0.1:{port}"})
    assert logger.stdin is not None
    os.write(logger.stdin.fileno(), b"early\n")
    assert logger.stderr is not None
    assert logger.stderr.readline() == (
        b"splogger: warning: unable to reach tcp:127.0.0.1:%d, trying again: connection refused\n" % port
    )
    received: list[bytes] = []
    for turn in (b"one", b"two"):
        with socket.create_server(("127.0.0.1", port)) as log:
            log.settimeout(DEADLINE)
            os.write(logger.stdin.fileno(), turn + b"\n")
            with log.accept()[0] as client:
                client.settimeout(DEADLINE)
                data = b""
                while not data.endswith(turn):
                    data += client.recv(1000)
                received += frames(data)
    assert received == [b"early", b"one", b"two"]
    with socket.create_server(("127.0.0.1", port)) as log:
        log.settimeout(DEADLINE)
        logger.stdin.write(b"last\n")
        logger.stdin.close()
        with log.accept()[0] as client:
            client.settimeout(DEADLINE)
            assert frames(b"".join(iter(lambda: client.recv(1000), b"")))[-1] == b"last"
    assert logger.wait(DEADLINE) == 0


@pytest.fixture
def certificate(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS; whoever believes `cert` in the folder believes it."""
    if run(["openssl", "version"]).code:
        pytest.skip("needs openssl")
    made = run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key", "-out"),
            *(folder / "cert", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
        ]
    )
    assert made.code == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


def splogger_to(log: socket.socket, processes: Processes, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """splogger with one line to send by TLS to that server."""
    log.settimeout(DEADLINE)
    where = f"tls:127.0.0.1:{log.getsockname()[1]}"
    logger = processes.start([ours("splogger")], stdin=subprocess.PIPE, env={"SVTREE_SYSLOG": where, **env})
    assert logger.stdin is not None
    logger.stdin.write(b"x\n")
    logger.stdin.close()
    return logger


def test_tls_does_not_believe_whom_it_is_not_told_to(certificate: ssl.SSLContext, processes: Processes) -> None:
    # It goes on trying, so a server of its own: the next test's would be given its later connections.
    with socket.create_server(("127.0.0.1", 0)) as log:
        logger = splogger_to(log, processes, {})
        with log.accept()[0] as client, pytest.raises(ssl.SSLError):
            certificate.wrap_socket(client, server_side=True)
        assert logger.stderr is not None
        assert b"certificate verify failed" in logger.stderr.readline().lower()
        logger.kill()
        logger.wait()


def test_tls_believes_whom_it_is_told_to_and_ends_with_a_goodbye(
    folder: Path, certificate: ssl.SSLContext, processes: Processes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as log:
        logger = splogger_to(log, processes, {"SVTREE_SYSLOG_CA": str(folder / "cert")})
        # An end without close_notify would be an error here.
        with certificate.wrap_socket(log.accept()[0], server_side=True, suppress_ragged_eofs=False) as client:
            client.settimeout(DEADLINE)
            assert frames(b"".join(iter(partial(client.recv, 1000), b""))) == [b"x"]
        assert logger.wait(DEADLINE) == 0


def test_a_peer_that_says_no_goodbye_is_not_waited_for(
    folder: Path, certificate: ssl.SSLContext, processes: Processes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as log:
        logger = splogger_to(log, processes, {"SVTREE_SYSLOG_CA": str(folder / "cert")})
        with certificate.wrap_socket(log.accept()[0], server_side=True) as client:
            assert frames(client.recv(1000)) == [b"x"]
            assert logger.wait(DEADLINE) == 0


def test_journald_gets_fields() -> None:
    # The native socket has a fixed place; where a journal runs this would write into it.
    from svtree.formats.syslog import journal

    assert journal(28, b"smtpd", b"warning: x").splitlines() == [
        b"PRIORITY=4",
        b"SYSLOG_FACILITY=3",
        b"SYSLOG_IDENTIFIER=smtpd",
        b"MESSAGE=warning: x",
    ]


def test_while_syslog_is_away_the_pipe_fills_and_nothing_is_lost(folder: Path, processes: Processes) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    os.set_blocking(reader, True)
    logger = processes.start([ours("splogger")], stdin=reader, cwd=folder, env={"SVTREE_SYSLOG": "unix:log"})
    os.close(reader)
    lines = [b"%d" % number for number in range(40_000)]
    data = b"\n".join(lines) + b"\n"
    assert logger.stderr is not None
    sent = os.write(writer, data)
    assert logger.stderr.readline().endswith(b"trying again: file does not exist\n")
    while select.select([], [writer], [], 0.5)[1]:
        sent += os.write(writer, data[sent : sent + 4096])
    # It has stopped reading: what writes to it is held back.
    assert sent < len(data)
    received: list[bytes] = []
    with bound(folder / "log") as log:
        while len(received) < len(lines):
            while sent < len(data) and select.select([], [writer], [], 0)[1]:
                sent += os.write(writer, data[sent : sent + 4096])
            received.append(log.recv(2000).rpartition(b" ")[2])
    os.close(writer)
    assert received == lines
    assert logger.wait(DEADLINE) == 0


def test_who_gives_up_says_so(folder: Path, processes: Processes) -> None:
    logger = processes.start([ours("splogger")], stdin=subprocess.PIPE, cwd=folder, env={"SVTREE_SYSLOG": "unix:log"})
    assert logger.stdin is not None
    assert logger.stderr is not None
    logger.stdin.write(b"x\n")
    logger.stdin.close()
    assert logger.wait(DEADLINE) == 111
    assert logger.stderr.read().endswith(b"splogger: warning: giving up: lines are lost\n")


@pytest.mark.parametrize("name", ["splogger", "multilog ./main"])
def test_a_closed_standard_input_is_at_its_end(folder: Path, name: str) -> None:
    result = run(["sh", "-c", f"exec {name} <&-"], cwd=folder, env={"SVTREE_SYSLOG": "unix:log"})
    assert (result.code, result.err) == (0, b"")


def test_a_destination_that_makes_no_sense_is_refused() -> None:
    result = run([ours("splogger")], env={"SVTREE_SYSLOG": "carrier pigeon"})
    assert (result.code, result.err) == (100, b"splogger: fatal: SVTREE_SYSLOG makes no sense: carrier pigeon\n")


KILLER = """
import os, random, signal, sys, time
from svtree.multicall import call, load
load("splogger")
random.seed(int(sys.argv[1]))
environ = {b"SVTREE_SYSLOG": b"unix:socket"}
for turn in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        os._exit(call("splogger", [b"splogger", b"t"], dict(environ)))
    time.sleep(random.random() ** 2 * 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
code = "from svtree.multicall import run; run('splogger')"
os.execve(sys.executable, [sys.executable, "-c", code, "t"], {**os.environb, **environ})
"""
WRITER = """
import os
number = 0
while os.path.exists("go"):
    os.write(1, b"".join(b"%d\\n" % n for n in range(number, number + 20)))
    number += 20
os.write(1, b"end\\n")
"""


def test_a_hundred_kills_of_a_supervised_splogger_lose_and_double_nothing_before_our_receiver(
    folder: Path, processes: Processes
) -> None:
    (folder / "supervise").mkdir()
    os.mkfifo(folder / "supervise" / "logpipe")
    pipe = os.open(folder / "supervise" / "logpipe", os.O_RDWR)
    (folder / "go").touch()
    with (folder / "out").open("wb") as out:
        processes.start([ours("syslog-receiver"), "unix:socket"], cwd=folder, stdout=out.fileno())
    until((folder / "socket").exists)
    writer = processes.start([sys.executable, "-c", WRITER], cwd=folder, stdout=pipe)
    killer = processes.start([sys.executable, "-c", KILLER, str(os.getpid()), "100"], cwd=folder, stdin=pipe)
    until(lambda: b"\0from svtree" in Path(f"/proc/{killer.pid}/cmdline").read_bytes(), 5 * DEADLINE)
    (folder / "go").unlink()
    assert writer.wait(DEADLINE) == 0
    until(lambda: (folder / "out").read_bytes().endswith(b" end\n"))
    os.close(pipe)
    lines = [line.rpartition(b" ")[2] for line in (folder / "out").read_bytes().splitlines()]
    assert lines == [b"%d" % number for number in range(len(lines) - 1)] + [b"end"]
    assert len(lines) > 200
    killer.terminate()
    assert killer.wait(DEADLINE) == 0


def test_what_a_splogger_with_a_spool_could_not_send_the_next_one_sends(folder: Path, processes: Processes) -> None:
    env = {"SVTREE_SYSLOG": "unix:log", "SVTREE_SPOOL": "spool"}
    (folder / "spool").mkdir()
    reader, writer = os.pipe()
    first = processes.start([ours("splogger")], stdin=reader, cwd=folder, env=env)
    assert first.stderr is not None
    os.write(writer, b"one\n")
    assert first.stderr.readline().endswith(b"trying again: file does not exist\n")
    os.write(writer, b"two\nthree")
    os.close(reader)
    os.close(writer)
    assert first.wait(DEADLINE) == 111
    assert first.stderr.read() == b""
    reader, writer = os.pipe()
    with bound(folder / "log") as log:
        second = processes.start([ours("splogger")], stdin=reader, cwd=folder, env=env)
        os.write(writer, b" more\nfour\n")
        os.close(reader)
        os.close(writer)
        received = [log.recv(2000).partition(b": ")[2].partition(b" ")[2] for _ in range(4)]
    assert received == [b"one", b"two", b"three more", b"four"]
    assert second.wait(DEADLINE) == 0
    assert list((folder / "spool").iterdir()) == []
