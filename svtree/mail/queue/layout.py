"""Making an empty queue, with the owners and modes that qmail's `make setup` gives it.

Follows hier.c, with one difference: queue/ itself may be entered by everybody (0751, the original has 0750), because
queue/socket is for everybody. Everything else below queue/ stays as closed as there.
"""

from __future__ import annotations

import os

from svtree.formats.queuefiles import SPLIT
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TCPTO_SIZE = 1024
QUEUE_MODE = 0o751


@record
class Owners:
    """Who owns the queue's parts; -1: leave as it is."""

    queue: int
    send: int
    remote: int
    group: int


def owners() -> Owners:
    """qmailq, qmails, qmailr and group qmail for root where they exist; elsewhere whoever makes the queue."""
    if os.geteuid() == 0:
        import grp
        import pwd

        try:
            queue, send, remote = (pwd.getpwnam(name).pw_uid for name in ("qmailq", "qmails", "qmailr"))
            return Owners(queue, send, remote, grp.getgrnam("qmail").gr_gid)
        except KeyError:
            pass
    return Owners(-1, -1, -1, -1)


def make_queue(home: bytes, who: Owners | None = None) -> None:
    """Make `home`/queue and all that belongs in it; what is there already gets its owner and mode. Raises OSError."""
    who = who or owners()
    for path, owner, mode in _directories(who):
        _make(home + b"/" + path, owner, who.group, mode)
    _file(home + b"/queue/lock/sendmutex", 0, who.send, who.group, 0o600)
    _file(home + b"/queue/lock/tcpto", TCPTO_SIZE, who.remote, who.group, 0o644)
    trigger = home + b"/queue/lock/trigger"
    try:
        os.mkfifo(trigger, 0o600)
    except FileExistsError:
        pass
    os.chown(trigger, who.send, who.group)
    os.chmod(trigger, 0o622)


def _directories(who: Owners) -> Iterator[tuple[bytes, int, int]]:
    yield b"queue", who.queue, QUEUE_MODE
    yield b"queue/pid", who.queue, 0o700
    yield b"queue/intd", who.queue, 0o700
    yield b"queue/todo", who.queue, 0o750
    yield b"queue/bounce", who.send, 0o700
    yield b"queue/lock", who.queue, 0o750
    for family, owner, mode in (
        (b"mess", who.queue, 0o750),
        (b"info", who.send, 0o700),
        (b"local", who.send, 0o700),
        (b"remote", who.send, 0o700),
    ):
        yield b"queue/" + family, owner, mode
        for part in range(SPLIT):
            yield b"queue/%s/%d" % (family, part), owner, mode


def _make(path: bytes, owner: int, group: int, mode: int) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    os.chown(path, owner, group)
    os.chmod(path, mode)


def _file(path: bytes, size: int, owner: int, group: int, mode: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
