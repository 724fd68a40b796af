"""qmail-qmqpd: receive a message by QMQP.

Follows qmail-qmqpd(8). It takes mail for anybody: tcpserver's rules must let in none but the hosts that use this queue.
"""

from __future__ import annotations

from svtree.mail.quick.qmqp import converse
from svtree.mail.quick.server import patience, serve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-qmqpd: usage: qmail-qmqpd [ -t seconds ] (the client at descriptors 0 and 1)"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve one client."""
    return serve(converse(), b"QMQP", environ, patience(argv, USAGE))
