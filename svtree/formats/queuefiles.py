r"""The files of qmail's queue: their names and what is in them.

Follows qmail 1.03's INTERNALS, section 2, and fmtqfn.c. Message 457 is mess/S/457 (the message), intd/457 and todo/457
(the envelope as it came), then info/S/457 (the sender), local/S/457 and remote/S/457 (the recipients and whether each
is done) and bounce/457 (what could not be delivered), where S is 457 modulo 23. The number is mess/S/457's inode.
"""

from __future__ import annotations

from svtree.formats.record import record

# qmail's conf-split; other values make a queue that real qmail cannot read.
SPLIT = 23
FAMILIES = ("mess", "info", "local", "remote")


class QueueFileError(ValueError):
    """A file of the queue holds what no version of qmail has written."""


@record
class Arrival:
    """todo/N: who put the message in, and its envelope."""

    uid: int
    pid: int
    sender: bytes
    recipients: tuple[bytes, ...]


@record
class Recipient:
    """One record of local/N or remote/N: where in the file it begins, the address, and whether it is done."""

    position: int
    address: bytes
    done: bool


def split(family: str, number: int) -> bytes:
    """The name of a file in one of the FAMILIES: b"mess/20/457"."""
    return b"%s/%d/%d" % (family.encode(), number % SPLIT, number)


def flat(family: str, number: int) -> bytes:
    """The name of a file in pid, intd, todo or bounce, which are not divided; also qmail-clean's "foop"."""
    return b"%s/%d" % (family.encode(), number)


def place(number: int) -> bytes:
    """A message's name below mess/, as qmail-send tells it to its spawners: b"20/457"."""
    return b"%d/%d" % (number % SPLIT, number)


def number(name: bytes) -> int | None:
    """The message number that a file's name is; None if it is none."""
    return int(name) if name.isdigit() and len(name) < 21 else None


def preamble(uid: int, pid: int) -> bytes:
    """What precedes the envelope in todo/N: the invoker's uid and qmail-queue's pid."""
    return b"u%d\0p%d\0" % (uid, pid)


def arrival(data: bytes) -> Arrival:
    """Read todo/N. Like qmail-send, forgives a last record without its NUL by leaving it out."""
    uid = pid = 0
    sender: bytes | None = None
    recipients = []
    for each in data.split(b"\0")[:-1]:
        kind, value = each[:1], each[1:]
        if kind == b"u":
            uid = _decimal(value)
        elif kind == b"p":
            pid = _decimal(value)
        elif kind == b"F":
            sender = value
        elif kind == b"T":
            recipients.append(value)
        else:
            raise QueueFileError("unknown record type")
    if sender is None:
        raise QueueFileError("no sender")
    return Arrival(uid, pid, sender, tuple(recipients))


def info(sender: bytes) -> bytes:
    """What is written into info/N."""
    return b"F" + sender + b"\0"


def sender(data: bytes) -> bytes | None:
    """The sender in info/N; None if the file is not one."""
    value, found, _ = data.partition(b"\0")
    return value[1:] if found and value[:1] == b"F" else None


def recipients(data: bytes, at: int = 0) -> list[Recipient]:
    """The records of local/N or remote/N, of which `data` begins at position `at`; a torn last one is left out."""
    found = []
    for each in data.split(b"\0")[:-1]:
        if each[:1] not in (b"T", b"D"):
            raise QueueFileError("unknown record type")
        found.append(Recipient(at, each[1:], each[:1] == b"D"))
        at += len(each) + 1
    return found


def received(pid: int, invoker: bytes, date: bytes) -> bytes:
    """The header line that qmail-queue puts before the message: `invoker` is b"by uid 1000", b"from network"..."""
    return b"Received: (qmail %d invoked %s); %s\n" % (pid, invoker, date)


def _decimal(text: bytes) -> int:
    end = 0
    while end < len(text) and 48 <= text[end] <= 57:
        end += 1
    return int(text[:end] or b"0")
