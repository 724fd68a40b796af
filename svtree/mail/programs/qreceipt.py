"""qreceipt: answer a message that asks for it with a note that it was delivered, from a .qmail file.

Follows qreceipt(1) and qreceipt.c: the message on descriptor 0, its sender in $SENDER.
"""

from __future__ import annotations

from svtree.mail.delivery.message import UnreadableError
from svtree.mail.delivery.receipt import AnswerError, answer
from svtree.program import PERMANENT, TEMPORARY, Fatal, UsageError
from svtree.system.signals import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qreceipt: usage: qreceipt deliveryaddress"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Answer, if Notice-Requested-Upon-Delivery-To names the address; exit 0 whether it does or not."""
    ignore_broken_pipes()
    if len(argv) < 2 or b"SENDER" not in environ:
        raise UsageError(USAGE)
    try:
        answer(environ, argv[1], environ[b"SENDER"])
    except AnswerError as error:
        raise Fatal(error.message, PERMANENT if error.permanent else TEMPORARY) from error
    except UnreadableError as error:
        raise Fatal("read error") from error
    return 0
