"""qmail-qmqpd: receive a message by QMQP.

Follows qmail-qmqpd(8). It takes mail for anybody: tcpserver's rules must let in none but the hosts that use this queue.
"""

from __future__ import annotations

from svtree.mail.quick.qmqp import converse
from svtree.mail.quick.server import serve
from svtree.program import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-qmqpd: usage: qmail-qmqpd (the client at descriptors 0 and 1, its address in $TCPREMOTEIP)"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve one client."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    return serve(converse(), b"QMQP", environ)
