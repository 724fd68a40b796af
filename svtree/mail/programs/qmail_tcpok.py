"""qmail-tcpok: forget which hosts did not answer lately.

Follows qmail-tcpok(8): the next delivery to each of them is tried in earnest.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.mail.delivery import timeouts
from svtree.program import Fatal, UsageError
from svtree.system.alarm import AlarmError
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-tcpok: usage: qmail-tcpok"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Clear the file."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    home = controls.home(environ)
    for folder in (home, home + b"/queue/lock"):
        try:
            os.stat(folder + b"/.")
        except OSError as error:
            raise Fatal(b"unable to chdir to " + folder + b": " + reason(error).encode()) from error
    path = home + b"/queue/lock/tcpto"
    try:
        timeouts.clear(home + b"/queue")
    except AlarmError as error:
        raise Fatal(b"unable to lock " + path + b": timed out") from error
    except OSError as error:
        raise Fatal(b"unable to write " + path + b": " + reason(error).encode()) from error
    return 0
