"""qmail-local: deliver or forward a message locally, by the instructions in the recipient's .qmail file.

Follows qmail-local(8). The message is on descriptor 0, a seekable file; the report for the log goes to 1, the reason
of a failure to 2, without a program's name, as it goes into the log or the bounce.
"""

from __future__ import annotations

import os
import time

from svtree.mail.delivery.failure import DeliveryError
from svtree.mail.delivery.local import Recipient, deliver
from svtree.program import UsageError, options
from svtree.system.signals import ignore_broken_pipes, ignore_file_limits
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-local: usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Deliver; exit code 0 when everything is done, 100 when it never will be, 111 when it may be later."""
    letters, words = options(argv, "nN", USAGE)
    if len(words) != 8 or not words[1].startswith(b"/"):
        raise UsageError(USAGE)
    show = next((letter == "n" for letter, _ in reversed(letters)), False)
    os.umask(0o077)
    # What goes wrong while we write is a failure to report, and to clean up after, not our death.
    ignore_broken_pipes()
    ignore_file_limits()
    try:
        deliver(Recipient(*words), environ, now=int(time.time()), show=show)
    except DeliveryError as error:
        if error.message:
            complain(error.message)
        return error.code
    return 0
