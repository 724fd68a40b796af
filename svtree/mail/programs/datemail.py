"""datemail: send a message with a Date field in local time.

Follows datemail.sh: predate, running sendmail with the same arguments.
"""

from __future__ import annotations

from svtree.mail.beside import find
from svtree.program import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "datemail: usage: datemail [ sendmail's options and arguments ]"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Become predate."""
    words = (b"predate", find(b"sendmail", environ), *argv[1:])
    return Chain(words, environ, file=find(b"predate", environ))
