"""pinq: move new mail into the mbox, then run pine.

Follows pinq.sh: maildir2mbox, with its variables, and if that succeeds pine with our arguments.
"""

from __future__ import annotations

from svtree.mail.delivery.reading import then

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Chain, Environ

USAGE = "pinq: usage: pinq [ pine's options and arguments ]"


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Become pine; maildir2mbox's exit code where that fails."""
    return then(b"pine", argv[1:], environ)
