"""recordio: record the input and output of a program."""

from __future__ import annotations

import os

from svtree.program import Chain, UsageError
from svtree.tcp.filters import Flow, Tap, interpose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "recordio: usage: recordio program [ arg ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Go on with argv[1:], behind a child that copies its input and output and shows them on standard error."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    pid = os.getpid()

    def taps(to_program: int, from_program: int) -> tuple[Flow, Flow]:
        inward, outward = Tap(b"%d < " % pid), Tap(b"%d > " % pid)
        return (
            Flow(0, to_program, inward.feed, end=inward.end),
            Flow(from_program, 1, outward.feed, end=outward.end),
        )

    interpose(taps)
    return Chain(tuple(argv[1:]), environ)
