"""qmail-pop3d: give out a Maildir by POP3."""

from __future__ import annotations

import os

from svtree.mail.pop3.server import transact
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-pop3d: usage: qmail-pop3d maildir"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve one client who has logged in; 0 however the session ended, 1 when run as root."""
    if os.getuid() == 0:
        complain("qmail-pop3d invoked as uid 0, terminating")
        return 1
    if len(argv) < 2:
        write_all(1, b"-ERR this user has no $HOME/Maildir\r\n")
        return 0
    return transact(argv[1], environ)
