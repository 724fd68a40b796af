"""predate: give a program a message with a Date field in local time before it.

Follows predate.c: qmail-inject would write the time of Greenwich.
"""

from __future__ import annotations

import time

from svtree.formats.dates import local
from svtree.mail.delivery.command import CrashedError, feed
from svtree.program import Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "predate: usage: predate child"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run the program; its exit code is ours."""
    ignore_broken_pipes()
    if len(argv) < 2:
        raise UsageError(USAGE)
    now = int(time.time())
    head = b"Date: " + local(now, time.localtime(now).tm_gmtoff) + b"\n"
    try:
        return feed(argv[1:], environ, head).code
    except CrashedError as error:
        raise Fatal("child crashed") from error
    except OSError as error:
        raise Fatal(b"unable to run " + argv[1] + b": " + reason(error).encode()) from error
