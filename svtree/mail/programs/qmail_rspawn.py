"""qmail-rspawn: run remote deliveries.

Follows qmail-rspawn(8) and qmail-rspawn.c: takes orders from qmail-send on descriptor 0, reports on descriptor 1.
$QMAILREMOTE names another program than qmail-remote, as notqmail has it.
"""

from __future__ import annotations

import os

from svtree import multicall
from svtree.formats import smtproutes
from svtree.mail import controls
from svtree.mail.delivery import names, orders
from svtree.mail.delivery.spawner import Kind, Spawner
from svtree.program import TEMPORARY, UsageError
from svtree.system.signals import as_a_c_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.delivery.orders import Order
    from svtree.program import Environ

USAGE = "qmail-rspawn: usage: qmail-rspawn (started by qmail-start)"
PROGRAM = b"qmail-remote"
TIMEOUTS = b"../lock/tcpto"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve until qmail-send closes descriptor 0."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    import gc
    import signal

    try:
        os.chdir(controls.home(environ) + b"/queue/mess")
    except OSError:
        return TEMPORARY
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    program = environ.get(b"QMAILREMOTE") or PROGRAM
    multicall.preload([program], environ)
    _preload_dns(environ)
    gc.freeze()
    _forget_timeouts()
    kind = Kind(lambda order: _deliver(order, program, environ), orders.remote_report, 0)
    Spawner(kind, os.stat(b".").st_uid).run()
    return 0


def _preload_dns(environ: Environ) -> None:
    """Load what deliveries ask the DNS with, unless a route for all mail says that they will not."""
    try:
        routes = controls.Controls(controls.home(environ)).lines("smtproutes") or []
    except controls.ControlError:
        # Deliveries will complain of it, each time until it is mended.
        return
    if smtproutes.find(smtproutes.parse(routes), b"") is None:
        names.preload()


def _forget_timeouts() -> None:
    """Start without memory of hosts that did not answer, as tcpto_clean() has it."""
    try:
        descriptor = os.open(TIMEOUTS, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        # Deliveries do without that file as well.
        return
    try:
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
    except OSError:
        return
    finally:
        os.close(descriptor)


def _deliver(order: Order, program: bytes, environ: Environ) -> int:
    """In the child: become qmail-remote."""
    as_a_c_program()
    if multicall.resolve(program, environ) is None:
        return TEMPORARY
    host = order.recipient.rpartition(b"@")[2]
    return multicall.perform([program, host, order.sender, order.recipient], environ)
