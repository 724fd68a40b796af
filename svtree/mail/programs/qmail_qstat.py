"""qmail-qstat: count the messages in the queue.

Follows qmail-qstat(8) and qmail-qstat.sh: a directory that cannot be read is a warning and counts nothing.
"""

from __future__ import annotations

from svtree.mail import controls
from svtree.mail.reports.queue import count
from svtree.program import UsageError
from svtree.system.errors import reason
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-qstat: usage: qmail-qstat"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Print two lines; always 0."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    queue = controls.home(environ) + b"/queue"
    stored = count(queue + b"/mess", _warn)
    waiting = count(queue + b"/todo", _warn)
    write_all(1, b"messages in queue: %d\nmessages in queue but not yet preprocessed: %d\n" % (stored, waiting))
    return 0


def _warn(folder: bytes, error: OSError) -> None:
    complain(b"qmail-qstat: warning: unable to read " + folder + b": " + reason(error).encode())
