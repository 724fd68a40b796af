"""maildir2mbox: move the messages of a Maildir into an mbox.

Follows maildir2mbox(1): $MAILDIR, $MAIL (the mbox) and $MAILTMP (a file on the mbox's file system that does not matter)
say where.
"""

from __future__ import annotations

import os
import time

from svtree.mail.delivery import collecting
from svtree.program import Fatal
from svtree.system.signals import ignore_file_limits
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "maildir2mbox: usage: maildir2mbox (with $MAILDIR, $MAIL and $MAILTMP)"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program's signature
    """Move; a message that could not be removed afterwards is a warning, since it will come twice."""
    os.umask(0o077)
    ignore_file_limits()
    for name in (b"MAIL", b"MAILTMP", b"MAILDIR"):
        if name not in environ:
            raise Fatal(name + b" not set")
    try:
        left = collecting.move(environ[b"MAILDIR"], environ[b"MAIL"], environ[b"MAILTMP"], time.time())
    except collecting.CollectingError as error:
        raise Fatal(error.message) from error
    for path, why in left:
        complain(b"maildir2mbox: warning: $MAILDIR/%s will be delivered twice; unable to unlink: %s" % (path, why))
    return 0
