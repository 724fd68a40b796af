"""condredirect: send a message on to another address if a program says so, from a .qmail file.

Follows condredirect(1) and condredirect.c: the program, with the message on descriptor 0, says yes by exit 0, no by any
other code but 111. After yes the exit code is 99, so that qmail-local does no more of the .qmail file.
"""

from __future__ import annotations

import os

from svtree.mail.delivery.command import agrees
from svtree.mail.delivery.redirection import needed, redirect
from svtree.program import Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "condredirect: usage: condredirect newaddress program [ arg ... ]"
ENOUGH = 99


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Ask the program; 99 when the message was sent on, 0 when it was not."""
    if len(argv) < 3:
        raise UsageError(USAGE)
    if not agrees(argv[2:], environ):
        return 0
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError as error:
        raise Fatal(f"unable to rewind: {reason(error)}") from error
    ignore_broken_pipes()
    queued = redirect(environ, needed(environ, b"SENDER"), argv[1:2])
    complain(f"condredirect: qp {queued}")
    return ENOUGH
