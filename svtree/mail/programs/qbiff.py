"""qbiff: announce a message on the terminals of its recipient, from a .qmail file.

Follows qbiff(1) and qbiff.c: on every terminal where $USER is logged in and has allowed it (`biff y`, the owner's x
bit). Whatever goes wrong, mail is not to be kept waiting for it: the exit code is always 0.
"""

from __future__ import annotations

import os
import stat

from svtree.mail.delivery import glance
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qbiff: usage: qbiff (from a .qmail file)"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program's signature
    """Announce the message on descriptor 0."""
    user, sender, local = (environ.get(name) for name in (b"USER", b"SENDER", b"LOCAL"))
    if user is None or sender is None or local is None:
        return 0
    try:
        text = glance.read(0, glance.ONE_LINE, b"    ").text
    except OSError:
        return 0
    head = b"*** TO <%s> FROM <%s>" % (local, sender)
    said = b"\r\n\7%s\r\n%s\r\n" % (glance.plain(head, b"_"), glance.plain(text, b"/"))
    # The C library has to be asked; who has no such variables need not wait for the import.
    from svtree.system.sessions import terminals

    for line in terminals(user):
        _say(line, said)
    return 0


def _say(line: bytes, said: bytes) -> None:
    """Write to one terminal, if it is one in /dev, ours, and wants to be written to."""
    if line[:1] in (b"", b"/") or b"." in line:
        return
    try:
        terminal = os.open(b"/dev/" + line, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(terminal)
        if found.st_mode & stat.S_IXUSR and found.st_uid == os.getuid():
            write_all(terminal, said)
    except OSError:
        # A terminal that takes no more: whoever sits there has other worries.
        return
    finally:
        os.close(terminal)
