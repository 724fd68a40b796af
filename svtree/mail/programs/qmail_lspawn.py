"""qmail-lspawn: run local deliveries.

Follows qmail-lspawn(8) and qmail-lspawn.c: takes orders from qmail-send on descriptor 0, reports on descriptor 1. As
root each delivery runs as its recipient, and none as root; otherwise all run as whoever runs this.
"""

from __future__ import annotations

import os

from svtree import multicall
from svtree.mail import controls
from svtree.mail.delivery import orders, recipients
from svtree.mail.delivery.spawner import Kind, Spawner
from svtree.mail.queue import submit
from svtree.program import TEMPORARY, UsageError
from svtree.system import privileges
from svtree.system.signals import as_a_c_program
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.delivery.orders import Order
    from svtree.mail.delivery.recipients import Recipient
    from svtree.program import Environ

USAGE = "qmail-lspawn: usage: qmail-lspawn defaultdelivery (started by qmail-start)"
PROGRAM = b"qmail-local"
TRUNCATE = 3000


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve until qmail-send closes descriptor 0."""
    if len(argv) != 2:
        raise UsageError(USAGE)
    import gc
    import signal

    default = argv[1]
    try:
        os.chdir(controls.home(environ) + b"/queue/mess")
    except OSError:
        return TEMPORARY
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    multicall.preload([PROGRAM], environ)
    submit.preload()
    recipients.preload()
    # What is loaded now is shared with every child; a collection there would copy it.
    gc.freeze()
    kind = Kind(lambda order: _deliver(order, default, environ), orders.local_report, TRUNCATE)
    Spawner(kind, os.stat(b".").st_uid).run()
    return 0


def _deliver(order: Order, default: bytes, environ: Environ) -> int:
    """In the child: become the recipient and qmail-local."""
    as_a_c_program()
    local, _, host = order.recipient.rpartition(b"@")
    if not local:
        return 0
    try:
        os.chdir(controls.home(environ))
        who = recipients.find(local, environ)
    except recipients.RecipientError as error:
        if error.code == TEMPORARY:
            complain(f"{error} (#4.3.0)")
        return error.code
    except OSError:
        return orders.SYSTEM
    if who is None:
        return orders.NO_ALIAS
    if multicall.resolve(PROGRAM, environ) is None:
        return orders.EXEC_SOFT
    code = _become(who)
    if code:
        return code
    return multicall.perform(
        [PROGRAM, b"--", who.name, who.home, local, who.dash, who.extension, host, order.sender, default], environ
    )


def _become(who: Recipient) -> int:
    """Be the recipient, for good; 0, or the exit code that says why not."""
    if os.geteuid() != 0:
        if who.uid != os.geteuid():
            complain(f"{os.fsdecode(who.home)} belongs to another user. (#4.3.0)")
            return TEMPORARY
        return 0
    if who.uid == 0:
        return orders.ROOT
    try:
        privileges.become(who.gid, who.uid)
    except OSError:
        return orders.USAGE
    return 0 if os.getuid() else orders.ROOT
