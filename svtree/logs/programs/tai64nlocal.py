"""tai64nlocal: show timestamps as local time."""

from __future__ import annotations

import os
import time

from svtree.logs.labels import Localiser
from svtree.program import TEMPORARY
from svtree.system.streams import BLOCK, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "tai64nlocal: usage: tai64nlocal"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this form
    """Copy standard input to standard output with the label of each line as date and time in the zone of $TZ.

    What has come is passed on at once, but for a label that is not yet whole. As in the original, arguments count for
    nothing and an error is an exit code without a word.
    """
    localiser = Localiser(time.localtime)
    try:
        while block := os.read(0, BLOCK):
            write_all(1, localiser.feed(block))
    except OSError:
        return TEMPORARY
    return 0
