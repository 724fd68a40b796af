"""Scenes: mail on its way, played once by the real programs while everything they do to files is written down."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults import sink
from tests.faults.disk import Operation
from tests.harness import Processes, ours, until
from tests.mail.queue.post import HOST, Post

HERE = Path(__file__).parent
HEAD = rb"Return-Path: <[^>]*>\nDelivered-To: %s@mail\.example\.com\nReceived: \(qmail \d+ invoked [^\n]*\n"
EARLIER = b"From somebody Thu Jan  1 00:00:00 1970\nSubject: earlier\n\nIt was here before.\n\n"
SENDER = f"jiro@{HOST}"


def text(subject: str) -> bytes:
    lines = b"".join(b"line %d of the message\n" % number for number in range(12))
    return b"Subject: %s\n\n" % subject.encode() + lines


SIGN = b"about power"
TEXT = text(SIGN.decode())


@dataclass(frozen=True)
class Copy:
    """What has to be somewhere in the end: a text of this form in a Maildir, in an mbox or with another host."""

    place: str
    form: bytes
    recipient: str
    # What no other text in the scene has.
    sign: bytes = SIGN
    # The bounce of a message, not the message.
    bounce: bool = False

    @property
    def is_mbox(self) -> bool:
        return self.place.endswith("mbox")


@dataclass(frozen=True)
class Scene:
    """What is played, what has to be where in the end, and which of the syncs in its record are left out, moved.

    `seeds` are beginnings of the paths that are synced ("" for all, "*" for the sync of everything), of lines after the
    first that an expression is found in; `left_out` are those that are only left out, since what comes next in the
    record relies on others.
    """

    name: str
    act: Callable[[Recorded], None]
    copies: tuple[Copy, ...]
    seeds: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    seeded_from: str = ""
    default: str = "./Maildir/"

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.place for each in self.copies))

    def prepare(self, folder: Path, processes: Processes) -> Recorded:
        """A mail system in which the scene can take place, and in which can be recovered from it."""
        made = Recorded(folder, processes)
        folder.chmod(0o755)
        for name in ("jiro", "saburo"):
            home = made.user(name)
            (home / "mbox").write_bytes(EARLIER)
            os.chown(home / "mbox", home.stat().st_uid, home.stat().st_gid)
        return made


class Recorded(Post):
    """A mail system whose programs write down what they do to its files."""

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().env(
            {
                "PYTHONPATH": f"{HERE / 'recording'}:{HERE.parents[1]}",
                "POWER_CUT_ROOT": str(self.home),
                "POWER_CUT_RECORD": str(self.folder / "record"),
                **(more or {}),
            }
        )

    def note(self, *what: object) -> None:
        """A line of ours, about what happens elsewhere."""
        with (self.folder / "record").open("ab") as record:
            record.write(repr(what).encode() + b"\n")

    def record(self) -> list[Operation]:
        lines = (self.folder / "record").read_text().splitlines()
        return [eval(line, {"__builtins__": {}}) for line in lines]

    def hand_in(self, recipients: Sequence[str]) -> None:
        """qmail-queue, to its end, which is the acknowledgement."""
        assert self.queue(recipients, SENDER, TEXT).code == 0
        self.note("acknowledged", SIGN)


# ------------------------------------------------------------------------------------------------------------- acts


def sent_to(*recipients: str, default: str = "./Maildir/") -> Callable[[Recorded], None]:
    """Handed in, and delivered after that."""

    def act(post: Recorded) -> None:
        post.hand_in(recipients)
        post.start(default)
        post.empty()
        assert post.stop() == 0

    return act


def sent_abroad(post: Recorded) -> None:
    """Two recipients at another host: one is taken, the other is put off, and refused at the second attempt."""
    put_off: set[bytes] = set()

    def refuse(recipient: bytes) -> bytes | None:
        final = sink.refuse(recipient)
        if final is None or recipient in put_off:
            return final
        put_off.add(recipient)
        return b"451 not now"

    with another_host(lambda recipient, _: post.note("taken", recipient), refuse) as port:
        post.control("smtproutes", f":[127.0.0.1]:{port}")
        post.hand_in([TAKEN, REFUSED])
        post.start()
        post.seen(r"^delivery \d+: (deferral|success): ", 2)
        post.seen(r"^status: local 0/10 remote 0/20$", 2)
        post.signal(signal.SIGALRM)
        post.empty()
        assert post.stop() == 0


@contextmanager
def another_host(taken: sink.Taken, refuse: sink.Refuse) -> Iterator[int]:
    """The port of a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=sink.serve, args=(listener, taken, refuse))
        serving.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


def sent_together(post: Recorded) -> None:
    """Handed in by clients of one qmail-queued: some all at their end when it looks, some while it syncs those."""
    gate = post.folder / "gate"
    os.mkfifo(gate)
    queued = post.processes.start([ours("qmail-queued")], env=post.env({"POWER_CUT_GATE": str(gate)}))
    until(lambda: listens(post), what="qmail-queued listens")
    queued.send_signal(signal.SIGSTOP)
    clients = [submitting(post, subject) for subject in TOGETHER]
    queued.send_signal(signal.SIGCONT)
    record = post.folder / "record"
    until(lambda: b"('begin'" in record.read_bytes(), what="the first sync has begun")
    clients += [submitting(post, subject) for subject in MEANWHILE]
    until(lambda: len(post.files("intd")) == len(clients), what="everybody has sent everything")
    os.close(until(lambda: os.open(gate, os.O_WRONLY | os.O_NONBLOCK), what="the first sync waits"))
    assert [client.wait(60) for client in clients] == [0] * len(clients)
    queued.terminate()
    assert queued.wait(60) == 0
    post.start()
    post.empty()
    assert post.stop() == 0


def listens(post: Post) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(post.home / "queue" / "socket"))
    return True


def submitting(post: Recorded, subject: str) -> subprocess.Popen[bytes]:
    """A client that has sent everything and waits for the answer."""
    client = post.processes.start(
        [sys.executable, HERE / "submitter.py", str(post.home), SENDER, SENDER],
        env={"PYTHONPATH": str(HERE.parents[1])},
        stdin=subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(text(subject))
    client.stdin.close()
    assert client.stdout.readline() == b"sent\n"
    post.note("submits", client.pid, subject.encode())
    return client


# ----------------------------------------------------------------------------------------------------------- scenes


def maildir(user: str) -> str:
    return f"home/{user}/Maildir"


def delivered(user: str, subject: str = SIGN.decode()) -> Copy:
    """A message in a Maildir."""
    form = HEAD % user.encode() + re.escape(text(subject))
    return Copy(maildir(user), form, f"{user}@{HOST}", subject.encode())


def bounced(recipient: str, says: bytes) -> Copy:
    """A bounce in its sender's Maildir."""
    form = (
        HEAD % b"jiro"
        + rb"Date: .*failure notice.*<%s>:\n%s.*" % (re.escape(recipient.encode()), says)
        + rb"--- Below this line is a copy of the message\.\n\nReturn-Path: <[^\n]*>\nReceived: [^\n]*\n"
        + re.escape(TEXT)
    )
    return Copy(maildir("jiro"), form, recipient, b"failure notice", bounce=True)


def appended(mbox: str) -> Copy:
    """A message in an mbox."""
    form = rb"From [^\n]*\n" + HEAD % b"jiro" + re.escape(TEXT) + rb"\n"
    return Copy(f"home/jiro/{mbox}", form, SENDER)


TAKEN, REFUSED = "yes@remote.example", "no@remote.example"
ABROAD = Copy("sent", rb"Received: [^\r]*\r\n" + re.escape(TEXT.replace(b"\n", b"\r\n")), TAKEN)
MISSING = f"missing@{HOST}"
TOGETHER = [f"message {number}" for number in range(4)]
MEANWHILE = ["message 4", "message 5"]

TO_MAILDIR = Scene("to a Maildir", sent_to(SENDER), (delivered("jiro"),), ("",))
TO_MAILDIRS = Scene(
    "to two Maildirs",
    sent_to(SENDER, f"saburo@{HOST}"),
    (delivered("jiro"), delivered("saburo")),
    ("data queue/local",),
)
TO_MBOX = Scene(
    "to an mbox", sent_to(SENDER, default="./mbox"), (appended("mbox"),), ("home/jiro/mbox",), default="./mbox"
)
TO_NEW_MBOX = Scene(
    "to a new mbox",
    sent_to(SENDER, default="./new-mbox"),
    (appended("new-mbox"),),
    ("home/jiro",),
    default="./new-mbox",
)
BOUNCED = Scene(
    "a bounce",
    sent_to(MISSING),
    (bounced(MISSING, rb"Sorry, no mailbox here by that name\."),),
    ("",),
    seeded_from="create.*queue/bounce",
)
REMOTE = Scene(
    "to another host, which takes one and refuses one",
    sent_abroad,
    (ABROAD, bounced(REFUSED, rb"127\.0\.0\.1 does not like recipient\.")),
    ("data queue/remote", "queue/bounce"),
)
AT_ONCE = Scene(
    "four clients that end together, and two while their sync runs",
    sent_together,
    tuple(delivered("jiro", each) for each in (*TOGETHER, *MEANWHILE)),
    ("*", "queue/todo"),
    ("queue/mess", "queue/pid"),
)
SCENES = (TO_MAILDIR, TO_MAILDIRS, TO_MBOX, TO_NEW_MBOX, BOUNCED, REMOTE, AT_ONCE)
