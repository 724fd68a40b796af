"""addcr: put a carriage return before each line feed."""

from __future__ import annotations

from svtree.program import TEMPORARY
from svtree.tcp.filters import through
from svtree.tcp.lines import add_cr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "addcr: usage: addcr"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this form
    """Copy standard input to standard output with a CR before each LF.

    As in the original, arguments count for nothing and an error is an exit code without a word.
    """
    try:
        through(add_cr)
    except OSError:
        return TEMPORARY
    return 0
