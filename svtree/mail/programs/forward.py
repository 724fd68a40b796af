"""forward: send a message on to other addresses, from a .qmail file.

Follows forward(1) and forward.c: the message on descriptor 0, the sender in $NEWSENDER, the line that stops loops in
$DTLINE, as qmail-local has set them.
"""

from __future__ import annotations

from svtree.mail.delivery.redirection import needed, redirect
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "forward: usage: forward address ... (from a .qmail file)"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Queue the message for the addresses, and tell under which process id."""
    ignore_broken_pipes()
    queued = redirect(environ, needed(environ, b"NEWSENDER"), argv[1:])
    complain(f"forward: qp {queued}")
    return 0
