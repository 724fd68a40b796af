"""The three programs with the queue and the SMTP server that they work with."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.mail.queue.layout import Owners, make_queue
from tests.harness import DEADLINE, environment, ours, run

MESSAGE = b"Subject: testing\n\n.dot\nFrom me\n\ncaf\xe9\0" + b"x" * 2000 + b"\n.\n"


class QueueHome:
    """A qmail directory with a queue that this user owns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "control").mkdir(parents=True)
        (path / "control" / "me").write_text("mail.example.com\n")
        (path / "control" / "rcpthosts").write_text("mail.example.com\n")
        make_queue(os.fsencode(path), Owners(-1, -1, -1, -1))

    @property
    def env(self) -> dict[str, str]:
        return {"QMAILHOME": str(self.path)}

    def queued(self) -> list[tuple[bytes, list[bytes]]]:
        """Every message in the queue, and the records of its envelope."""
        found = []
        for path in sorted((self.path / "queue" / "todo").rglob("*")):
            if path.is_file():
                mess = next((self.path / "queue" / "mess").rglob(path.name))
                found.append((mess.read_bytes(), path.read_bytes().split(b"\0")))
        return found


@pytest.fixture
def receiver(folder: Path) -> QueueHome:
    return QueueHome(folder / "receiver")


@pytest.fixture
def smtpd(receiver: QueueHome) -> Iterator[int]:
    """The port of a server that runs qmail-smtpd for one connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            env = {**receiver.env, "TCPREMOTEIP": "127.0.0.1", "TCPREMOTEHOST": "localhost"}
            subprocess.run(
                [ours("qmail-smtpd")],
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                env=environment(env),
                check=False,
                timeout=DEADLINE,
            )

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE)
    listener.close()


def send(sender: QueueHome, message: bytes, *recipients: str) -> bytes:
    source = sender.path / "message"
    source.write_bytes(message)
    with source.open("rb") as stdin:
        done = subprocess.run(
            [ours("qmail-remote"), "mail.example.com", "me@here.example", *recipients],
            stdin=stdin,
            env=environment(sender.env),
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_what_qmail_remote_sends_qmail_smtpd_queues_byte_for_byte(
    folder: Path, receiver: QueueHome, smtpd: int
) -> None:
    sender = QueueHome(folder / "sender")
    (sender.path / "control" / "smtproutes").write_text(f":[127.0.0.1]:{smtpd}\n")
    reports = send(sender, MESSAGE, "a b@mail.example.com", "elsewhere@other.example", "c@mail.example.com")
    refused = b"h127.0.0.1 does not like recipient.\nRemote host said: 553 sorry, that domain isn't in my list of"
    first, second, third, last, rest = reports.split(b"\0")
    assert (first, third, rest) == (b"r", b"r", b"")
    assert second.startswith(refused)
    accepted = rb"K127\.0\.0\.1 accepted message\.\nRemote host said: 250 ok \d+ qp \d+\n"
    assert re.fullmatch(accepted, last)
    ((message, envelope),) = receiver.queued()
    assert message.endswith(MESSAGE)
    head = message.removesuffix(MESSAGE)
    assert [line.split(b" ")[0] for line in head.splitlines()] == [b"Received:", b"Received:", b""]
    assert [each for each in envelope if each[:1] in (b"F", b"T")] == [
        b"Fme@here.example",
        b"Ta b@mail.example.com",
        b"Tc@mail.example.com",
    ]


def test_qmail_inject_queues_a_message(receiver: QueueHome) -> None:
    done = run([ours("qmail-inject"), "-fme@x.example"], stdin=b"To: joe, jane\n\nbody", env=receiver.env)
    assert (done.code, done.out, done.err) == (0, b"", b"")
    ((message, envelope),) = receiver.queued()
    assert message.startswith(b"Received: (qmail ")
    assert message.endswith(b"\nTo: joe@mail.example.com, jane@mail.example.com\n\nbody\n")
    assert [each for each in envelope if each[:1] in (b"F", b"T")] == [
        b"Fme@x.example",
        b"Tjane@mail.example.com",
        b"Tjoe@mail.example.com",
    ]


def test_qmail_local_forwards_into_the_queue_and_says_under_which_pid(folder: Path, receiver: QueueHome) -> None:
    home = folder / "home"
    home.mkdir()
    (home / ".qmail").write_text("&a@x.example\n&b@x.example\n")
    source = folder / "message"
    source.write_bytes(MESSAGE)
    words = ["joe", str(home), "joe", "", "", "mail.example.com", "me@x.example", "./Maildir/"]
    with source.open("rb") as stdin:
        done = subprocess.run(
            [ours("qmail-local"), "--", *words],
            stdin=stdin,
            env=environment(receiver.env),
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    match = re.fullmatch(rb"did 0\+2\+0\nqp (\d+)\n", done.stdout)
    assert match
    ((message, envelope),) = receiver.queued()
    assert message.startswith(b"Received: (qmail %s invoked by " % match[1])
    assert message.endswith(b"\nDelivered-To: joe@mail.example.com\n" + MESSAGE)
    assert [each for each in envelope if each[:1] in (b"F", b"T")] == [
        b"Fme@x.example",
        b"Ta@x.example",
        b"Tb@x.example",
    ]


def test_a_queue_that_is_not_there_keeps_the_mail(folder: Path) -> None:
    done = run([ours("qmail-inject"), "joe"], stdin=b"To: joe\n", env={"QMAILHOME": str(folder)})
    assert done.code == 111
    assert done.err.startswith(b"qmail-inject: fatal: ")
    assert done.err.count(b"\n") == 1
