"""tai64n: put a precise timestamp on each line."""

from __future__ import annotations

import os
import time

from svtree.logs.labels import Stamper
from svtree.program import TEMPORARY
from svtree.system.streams import BLOCK, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "tai64n: usage: tai64n"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this form
    """Copy standard input to standard output with a label before each line; what has come is never kept back.

    As in the original, arguments count for nothing and an error is an exit code without a word.
    """
    stamper = Stamper()
    try:
        while block := os.read(0, BLOCK):
            write_all(1, stamper.feed(block, time.time_ns()))
    except OSError:
        return TEMPORARY
    return 0
