"""qail: move new mail into the mbox, then run Mail.

Follows qail.sh: maildir2mbox, with its variables, and if that succeeds Mail with our arguments.
"""

from __future__ import annotations

from svtree.mail.delivery.reading import then

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Chain, Environ

USAGE = "qail: usage: qail [ Mail's options and arguments ]"


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Become Mail; maildir2mbox's exit code where that fails."""
    return then(b"Mail", argv[1:], environ)
