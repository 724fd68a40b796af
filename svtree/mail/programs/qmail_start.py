"""qmail-start: start the parts of mail delivery.

Follows qmail-start(8) and qmail-start.c: forks the logger, qmail-lspawn, qmail-rspawn and qmail-clean, joins them to
qmail-send by pipes, and becomes qmail-send. As root each gets its own user and group; a tree whose queue belongs to
whoever runs this has only that one user. As root it also starts qmail-queued, since then others' mail has to come in.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.multicall import search
from svtree.program import PERMANENT, Chain, Fatal
from svtree.system import descriptors, privileges
from svtree.system.errors import reason
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from svtree.program import Environ

USAGE = "qmail-start: usage: qmail-start [ defaultdelivery [ logger arg ... ] ]"
DEFAULT = b"./Mailbox"
LEASH = b"QMAILQUEUED_LEASH"
PARTS = b"QMAILSTART_PARTS"
# Above every number that a part gets its pipes at.
ABOVE = 16


class Who:
    """The users and groups of the parts; none of them in a tree of one user."""

    def __init__(self, home: bytes) -> None:
        """Looks up qmail's accounts if this is root and the queue is not root's own."""
        try:
            owner = os.stat(home + b"/queue/mess").st_uid
        except OSError as error:
            raise Fatal(f"unable to find the queue {os.fsdecode(home)}/queue: {reason(error)}") from error
        self.many = os.geteuid() == 0 and owner != 0
        names = (b"qmaill", b"qmailq", b"qmailr", b"qmails") if self.many else ()
        self._uids = {name: _uid(name) for name in names}
        self._gids = {name: _gid(name) for name in (b"qmail", b"nofiles")} if self.many else {}

    def become(self, user: bytes | None, group: bytes) -> None:
        """In a child, be this user and group, for good; `user` None stays root. Nothing in a tree of one user."""
        if self.many:
            privileges.become_group(self._gids[group])
            if user is not None:
                privileges.become_user(self._uids[user])


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Start everything; becomes qmail-send."""
    home = controls.home(environ)
    if not home.startswith(b"/"):
        raise Fatal(f"unable to use {os.fsdecode(home)}: $QMAILHOME is not absolute", PERMANENT)
    who = Who(home)
    listening = _listen(home, environ) if os.geteuid() == 0 else -1
    os.chdir(b"/")
    os.umask(0o077)
    descriptors.ensure_standard()
    own = {name: value for name, value in environ.items() if not name.startswith((b"LISTEN_", b"WATCHDOG_"))}
    theirs = {name: value for name, value in own.items() if name != b"NOTIFY_SOCKET"}
    pids: list[int] = []
    log = descriptors.duplicate(1, ABOVE)
    if len(argv) > 2:
        out, log = _pipe()
        pids.append(_start(argv[2:], {0: out}, (who, b"qmaill", b"nofiles"), theirs))
        os.close(out)
    pipes = [_pipe() for _ in range(6)]

    def part(words: Sequence[bytes], user: bytes | None, which: int) -> None:
        ends = {0: pipes[which][0], 1: pipes[which + 1][1], 2: log}
        pids.append(_start(words, ends, (who, user, b"qmail"), theirs))

    part([b"qmail-lspawn", argv[1] if len(argv) > 1 else DEFAULT], None, 0)
    part([b"qmail-rspawn"], b"qmailr", 2)
    part([b"qmail-clean"], b"qmailq", 4)
    # qmail-send's 1 to 6: to and from lspawn, rspawn, clean.
    ends = {0: log, 1: pipes[0][1], 2: pipes[1][0], 3: pipes[2][1], 4: pipes[3][0], 5: pipes[4][1], 6: pipes[5][0]}
    if listening >= 0:
        pid, ends[7] = _queued(listening, log, who, theirs)
        pids.append(pid)
        own[LEASH] = b"7"
    own[PARTS] = b" ".join(b"%d" % pid for pid in pids)
    who.become(b"qmails", b"qmail")
    descriptors.place(ends)
    return Chain((b"qmail-send",), own)


def _queued(listening: int, log: int, who: Who, environ: Environ) -> tuple[int, int]:
    """Start qmail-queued; returns its pid and the leash, which holds it as long as it is open."""
    import socket

    ours, its = (descriptors.duplicate(end.detach(), ABOVE) for end in socket.socketpair())
    null = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
    ends = {0: null, 1: log, 2: log, 3: listening, 4: its}
    given = environ | {b"LISTEN_FDS": b"1", b"LISTEN_FDNAMES": b"queue", LEASH: b"4"}
    return _start([b"qmail-queued"], ends, (who, b"qmailq", b"qmail"), given), ours


def _start(
    words: Sequence[bytes], ends: Mapping[int, int], role: tuple[Who, bytes | None, bytes], environ: Environ
) -> int:
    """Fork a part, which gets `ends`, 0 to 2, and nothing else of ours; `role` is who to be. Returns its pid."""
    path = search(words[0], environ)
    if path is None:
        raise Fatal(f"unable to run {os.fsdecode(words[0])}: file does not exist")
    pid = os.fork()
    if pid:
        return pid
    # Nothing is shared with the parent that could be left half done: the child only takes its place and is replaced.
    try:
        descriptors.place(ends)
        who, user, group = role
        who.become(user, group)
        os.execve(path, list(words), environ)
    except OSError as error:
        complain(f"qmail-start: fatal: unable to run {os.fsdecode(words[0])}: {reason(error)}")
    finally:
        os._exit(111)


def _listen(home: bytes, environ: Environ) -> int:
    from svtree.mail.queue import listener

    try:
        made = listener.obtain(home, environ)
        owner = os.stat(home + b"/queue").st_uid
        os.chown(home + b"/queue/socket", owner, -1)
    except OSError as error:
        raise Fatal(f"unable to listen at {os.fsdecode(home)}/queue/socket: {reason(error)}") from error
    return descriptors.duplicate(made.detach(), ABOVE)


def _pipe() -> tuple[int, int]:
    """A pipe out of the way of the numbers that the parts get."""
    ends = os.pipe2(os.O_CLOEXEC)
    moved = descriptors.duplicate(ends[0], ABOVE), descriptors.duplicate(ends[1], ABOVE)
    for end in ends:
        os.close(end)
    return moved


def _uid(name: bytes) -> int:
    found = privileges.account(name)
    if found is None:
        raise Fatal(f"unable to find user {os.fsdecode(name)}")
    return found.uid


def _gid(name: bytes) -> int:
    import grp

    try:
        return grp.getgrnam(os.fsdecode(name)).gr_gid
    except KeyError:
        raise Fatal(f"unable to find group {os.fsdecode(name)}") from None
