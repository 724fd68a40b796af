"""delcr: take out the carriage return before each line feed."""

from __future__ import annotations

from svtree.program import TEMPORARY
from svtree.tcp.filters import through
from svtree.tcp.lines import DelCr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "delcr: usage: delcr"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this form
    """Copy standard input to standard output without the CR before each LF.

    As in the original, arguments count for nothing and an error is an exit code without a word.
    """
    filtering = DelCr()
    try:
        through(filtering.feed, filtering.end)
    except OSError:
        return TEMPORARY
    return 0
