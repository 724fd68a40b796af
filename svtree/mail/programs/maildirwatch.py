"""maildirwatch: show on a terminal what new mail there is, again every 30 seconds.

Follows maildirwatch(1) of qmail 1.03: $MAILDIR says where. Ends when it is interrupted.
"""

from __future__ import annotations

import os
import time

from svtree.mail.delivery import glance
from svtree.mail.pop3 import maildir
from svtree.program import Fatal
from svtree.system.errors import reason
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "maildirwatch: usage: maildirwatch (with $MAILDIR)"
PAUSE = 30
CLEAR = b"\033[;H\033[;J"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program's signature
    """Show, wait, and show again."""
    folder = environ.get(b"MAILDIR")
    if folder is None:
        raise Fatal("MAILDIR not set")
    try:
        os.chdir(folder)
    except OSError as error:
        raise Fatal(b"unable to chdir to " + folder + b": " + reason(error).encode()) from error
    while True:
        maildir.clean(b".", time.time())
        try:
            new = maildir.new(b".")
        except OSError as error:
            raise Fatal(f"unable to scan $MAILDIR/new: {reason(error)}") from error
        write_all(1, CLEAR + b"".join(_entry(each.path) for each in new))
        time.sleep(PAUSE)


def _entry(path: bytes) -> bytes:
    """What is shown of a message; nothing where it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        seen = glance.read(descriptor, glance.TWO_LINES)
    except OSError as error:
        raise Fatal("trouble reading new message") from error
    finally:
        os.close(descriptor)
    author = b"\033[1m" + glance.plain(seen.author, b"/") + b"\033[0m\n" if seen.author else b""
    names = glance.plain(seen.sender, b"?"), glance.plain(seen.recipient, b"?")
    return b"FROM %s TO <%s>\n%s%s\n\n" % (*names, author, glance.plain(seen.text, b"/"))
