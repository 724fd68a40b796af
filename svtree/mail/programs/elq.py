"""elq: move new mail into the mbox, then run elm.

Follows elq.sh: maildir2mbox, with its variables, and if that succeeds elm with our arguments.
"""

from __future__ import annotations

from svtree.mail.delivery.reading import then

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Chain, Environ

USAGE = "elq: usage: elq [ elm's options and arguments ]"


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Become elm; maildir2mbox's exit code where that fails."""
    return then(b"elm", argv[1:], environ)
