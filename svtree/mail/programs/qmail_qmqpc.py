"""qmail-qmqpc: hand a message to the queue of another host by QMQP.

Follows qmail-qmqpc(8): it stands in qmail-queue's place (QMAILQUEUE=qmail-qmqpc), with the message on descriptor 0, the
envelope on descriptor 1, and qmail-queue's exit codes.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.mail.queue import codes
from svtree.mail.queue.codes import SubmitError
from svtree.mail.quick.client import NO_SERVER, read_envelope, send
from svtree.program import UsageError
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-qmqpc: usage: qmail-qmqpc < message 1< envelope"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Send one message; 0, or one of qmail-queue's codes."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    ignore_broken_pipes()
    home = controls.home(environ)
    if not os.access(home, os.X_OK):
        return codes.HOME
    try:
        servers = controls.Controls(home).lines("qmqpservers")
    except controls.ControlError:
        return NO_SERVER
    if servers is None:
        return NO_SERVER
    try:
        message = read_all(0)
        send(servers, message, read_envelope(1))
    except SubmitError as error:
        return error.code
    except OSError:
        return codes.READ
    except MemoryError:
        return codes.NO_MEMORY
    return 0
