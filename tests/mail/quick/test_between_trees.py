"""QMQP and QMTP between programs: one mail system hands its messages to another's queue."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.formats.netstring import Decoder, encode
from svtree.mail.quick import client
from tests.harness import DEADLINE, Processes, environment, free_port, ours, until
from tests.mail.queue.post import HOST, MESSAGE, Post


@pytest.fixture
def server(folder: Path, processes: Processes) -> Post:
    """The mail system that has a queue."""
    (folder / "server").mkdir()
    post = Post(folder / "server", processes)
    post.control("rcpthosts", HOST)
    post.user("jiro")
    return post


def listen(post: Post, processes: Processes, program: str, *, rules: str = "") -> int:
    """Run a server of `post` behind tcpserver; the port."""
    port = free_port()
    argv = [ours("tcpserver"), "-HR", "-l", HOST, "127.0.0.1", str(port), program]
    if rules:
        argv[1:1] = ["-x", rules]
    processes.start(argv, env=post.env())

    def up() -> bool:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True

    until(up, what=f"{program} listens")
    return port


def hand_in(home: Path, message: bytes, envelope: bytes, program: str = "qmail-qmqpc") -> int:
    """Run qmail-qmqpc as a program runs qmail-queue; its exit code."""
    out, into = os.pipe()
    try:
        os.write(into, envelope)
        os.close(into)
        done = subprocess.run(
            [ours(program)],
            input=message,
            stdout=out,
            stderr=subprocess.PIPE,
            env=environment({"QMAILHOME": str(home)}),
            timeout=DEADLINE,
            check=False,
        )
    finally:
        os.close(out)
    assert done.stderr == b""
    return done.returncode


@pytest.fixture
def home(folder: Path) -> Path:
    """The qmail directory of a host without a queue."""
    (folder / "client" / "control").mkdir(parents=True)
    (folder / "client" / "control" / "me").write_text("client.example\n")
    return folder / "client"


def servers(home: Path, *lines: str) -> None:
    (home / "control" / "qmqpservers").write_text("".join(line + "\n" for line in lines))


def test_a_message_goes_from_a_host_without_a_queue_into_a_mailbox(
    home: Path, server: Post, processes: Processes
) -> None:
    port = listen(server, processes, "qmail-qmqpd")
    server.start()
    servers(home, f"127.0.0.1:{port}")
    env = {"QMAILHOME": str(home), "QMAILQUEUE": ours("qmail-qmqpc"), "QMAILUSER": "saburo"}
    sent = subprocess.run(
        [ours("sendmail"), f"jiro@{HOST}"], input=MESSAGE, env=environment(env), capture_output=True, check=False
    )
    assert (sent.returncode, sent.stderr) == (0, b"")
    until(lambda: server.mail("jiro"))
    (message,) = server.mail("jiro")
    assert message.startswith(b"Return-Path: <saburo@client.example>\nDelivered-To: jiro@mail.example.com\n")
    assert b"Received: from unknown (127.0.0.1)\n  by mail.example.com with QMQP; " in message
    assert message.endswith(b"\nThis is a test.\n")
    assert server.stop() == 0


def test_a_megabyte_arrives_as_it_was(home: Path, server: Post, processes: Processes) -> None:
    port = listen(server, processes, "qmail-qmqpd")
    servers(home, "no address", "300.1.2.3", f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}")
    message = os.urandom(1 << 20)
    assert hand_in(home, message, b"Fs@x\0Tr@y\0Tq@z\0\0") == 0
    (name,) = server.files("mess")
    assert (server.home / "queue" / name).read_bytes().endswith(message)
    (todo,) = server.files("todo")
    assert (server.home / "queue" / todo).read_bytes().endswith(b"Fs@x\0Tr@y\0Tq@z\0")


@pytest.mark.parametrize(
    ("envelope", "code"), [(b"Fs\0Tr\0", 91), (b"", 91), (b"Ts\0\0", 91), (b"Fs\0Xr\0\0", 91), (b"\0\0", 91)]
)
def test_an_envelope_that_is_none_is_not_sent(home: Path, envelope: bytes, code: int) -> None:
    servers(home, f"127.0.0.1:{free_port()}")
    assert hand_in(home, MESSAGE, envelope) == code


def test_what_is_missing_has_its_exit_code(home: Path) -> None:
    envelope = b"Fs\0Tr\0\0"
    assert hand_in(home / "nowhere", MESSAGE, envelope) == 61
    assert hand_in(home, MESSAGE, envelope) == 55, "no qmqpservers"
    servers(home)
    assert hand_in(home, MESSAGE, envelope) == 55, "an empty one"
    servers(home, f"127.0.0.1:{free_port()}")
    assert hand_in(home, MESSAGE, envelope) == 73, "nobody listens"


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that reads a QMQP request, says `answer` and hangs up; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wanted = encode(encode(MESSAGE) + encode(b"s") + encode(b"r"))

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE)
                heard = b""
                while len(heard) < len(wanted) and (data := connection.recv(65536)):
                    heard += data
                assert heard == wanted
                # A client that has heard enough goes away.
                with contextlib.suppress(OSError):
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"2:Ko,", 0), (b"3:Dno,", 31), (b"3:Zno,", 71), (b"", 74), (b"6:hello!,", 74), (b"1" * 100000, 74)],
)
def test_the_server_s_verdict_is_the_exit_code(home: Path, answer: bytes, code: int) -> None:
    with answering(answer) as port:
        servers(home, f"127.0.0.1:{port}")
        assert hand_in(home, MESSAGE, b"Fs\0Tr\0\0") == code


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"192.0.2.1", ("192.0.2.1", 628)),
        (b"192.0.2.1:6280", ("192.0.2.1", 6280)),
        (b"192.0.2.1 what follows", ("192.0.2.1", 628)),
        (b"192.0.2.1:", ("192.0.2.1", 628)),
        (b"192.0.2", None),
        (b"192.0.2.256", None),
        (b"mail.example.com", None),
        (b"", None),
    ],
)
def test_a_server_is_an_address_and_perhaps_a_port(line: bytes, address: tuple[str, int] | None) -> None:
    assert client.parse(line) == address


def qmtp(port: int, *messages: tuple[bytes, bytes, list[bytes]]) -> bytes:
    """Send messages by QMTP, all at once; the replies."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        for message, sender, recipients in messages:
            connection.sendall(encode(message) + encode(sender) + encode(b"".join(map(encode, recipients))))
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while data := connection.recv(65536):
            said += data
        return said


def test_messages_by_qmtp_are_delivered_and_each_recipient_is_answered(server: Post, processes: Processes) -> None:
    port = listen(server, processes, "qmail-qmtpd")
    server.start()
    said = qmtp(
        port,
        (b"\n" + MESSAGE, b"a@b.example", [f"jiro@{HOST}".encode(), b"else@where.example"]),
        (b"\rSubject: crlf\r\n\r\ntwo\r\n", b"", [f"jiro@{HOST}".encode()]),
    )
    taken, denied, bounce = Decoder(1000).feed(said)
    assert taken.startswith(b"Kok ")
    assert denied == b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
    assert bounce.startswith(b"Kok ")
    until(lambda: len(server.mail("jiro")) == 2)
    assert any(message.endswith(b"\nSubject: crlf\n\ntwo\n") for message in server.mail("jiro"))
    assert all(b"with QMTP; " in message for message in server.mail("jiro"))
    assert server.stop() == 0


def test_rules_of_tcpserver_let_a_host_relay_by_qmtp(folder: Path, server: Post, processes: Processes) -> None:
    rules = folder / "rules.cdb"
    made = subprocess.run(
        [ours("tcprules"), rules, folder / "rules.tmp"], input=b'127.:allow,RELAYCLIENT="",DATABYTES="20"\n', check=True
    )
    assert made.returncode == 0
    port = listen(server, processes, "qmail-qmtpd", rules=str(rules))
    said = qmtp(port, (b"\nsmall\n", b"a@b", [b"else@where.example"]), (b"\n" + b"x" * 21, b"a@b", [b"else@where"]))
    assert b":Kok " in said
    assert said.endswith(b"61:Dsorry, that message size exceeds my databytes limit (#5.3.4),")


def test_a_control_file_that_cannot_be_read_is_named(server: Post, processes: Processes) -> None:
    (server.home / "control" / "databytes").mkdir()
    done = subprocess.run(
        [ours("qmail-qmtpd")], env=environment(server.env()), input=b"", capture_output=True, check=False
    )
    assert done.returncode == 111
    assert (
        done.stderr == f"qmail-qmtpd: fatal: unable to read {server.home}/control/databytes: is a directory\n".encode()
    )
