"""qmail-qread: list the messages in the queue and their recipients.

Follows qmail-qread(8): what goes wrong is told among the messages, on standard output.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.mail.reports.queue import UnreadableQueueError, messages
from svtree.program import TEMPORARY, UsageError
from svtree.system.errors import reason
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-qread: usage: qmail-qread"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """List; 111 where the queue cannot be read."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    try:
        os.chdir(controls.home(environ) + b"/queue")
    except OSError as error:
        write_all(1, f"fatal: unable to chdir: {reason(error)}\n".encode())
        return TEMPORARY
    try:
        for paragraph in messages():
            write_all(1, paragraph)
    except UnreadableQueueError as error:
        write_all(1, b"fatal: unable to opendir %s: %s\n" % (error.path, error.reason.encode()))
        return TEMPORARY
    return 0
