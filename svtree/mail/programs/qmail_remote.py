"""qmail-remote: send a message by SMTP to the machine that takes mail for a host.

Follows qmail-remote(8). The message is on descriptor 0; the reports, which qmail-rspawn reads, go to descriptor 1,
those of failures too: the exit code is always 0, and there are no options.
"""

from __future__ import annotations

import os
import time

from svtree.mail.controls import ControlError, Controls, home
from svtree.mail.delivery import remote
from svtree.mail.delivery.timeouts import Timeouts
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-remote: usage: qmail-remote host sender recip [ recip ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Send, and report."""
    ignore_broken_pipes()
    report = b"".join(_reports(argv, environ))
    try:
        write_all(1, report)
    except OSError:
        # qmail-rspawn is gone, and with it whoever would hear of this.
        return 0
    return 0


def _reports(argv: Sequence[bytes], environ: Environ) -> list[bytes]:
    try:
        if len(argv) < 4:
            raise remote.GivenUpError(remote.IMPROPER)
        directory = home(environ)
        try:
            os.chdir(directory)
        except OSError:
            raise remote.GivenUpError(remote.NO_HOME) from None
        settings = remote.Settings.read(Controls(directory))
        timeouts = Timeouts(directory, int(time.time()))
        return remote.deliver(remote.Envelope(argv[1], argv[2], tuple(argv[3:])), settings, environ, timeouts)
    except remote.GivenUpError as error:
        return [error.report + b"\0"]
    except ControlError:
        return [remote.NO_CONTROLS + b"\0"]
    except MemoryError:
        return [remote.NO_MEMORY + b"\0"]
