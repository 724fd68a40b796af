"""qmail-tcpto: list the hosts that did not answer lately.

Follows qmail-tcpto(8): what goes wrong is told on standard output.
"""

from __future__ import annotations

import os
import time

from svtree.formats import tcpto
from svtree.mail import controls
from svtree.mail.delivery import timeouts
from svtree.program import TEMPORARY, UsageError
from svtree.system.alarm import AlarmError
from svtree.system.errors import reason
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-tcpto: usage: qmail-tcpto"
LINE = b"%d.%d.%d.%d timed out %d seconds ago; # recent timeouts: %d\n"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """List; 111 where the file cannot be read."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    queue = controls.home(environ) + b"/queue"
    try:
        os.stat(queue + b"/lock/.")
    except OSError as error:
        return _fail(f"unable to chdir: {reason(error)}")
    try:
        table = timeouts.read(queue)
    except OSError as error:
        return _fail(f"unable to open tcpto: {reason(error)}")
    except AlarmError:
        return _fail("unable to lock tcpto: timed out")
    now = int(time.time())
    # A clock that was set back makes no host fail in the future.
    shown = [LINE % (*each.address, max(0, now - each.last), each.count) for each in tcpto.timeouts(table)]
    write_all(1, b"".join(shown))
    return 0


def _fail(what: str) -> int:
    write_all(1, f"fatal: {what}\n".encode())
    return TEMPORARY
