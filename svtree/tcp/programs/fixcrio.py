"""fixcrio: put missing carriage returns into a program's input and output."""

from __future__ import annotations

from svtree.program import Chain, UsageError
from svtree.tcp.filters import Flow, interpose
from svtree.tcp.lines import FixCr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "fixcrio: usage: fixcrio program [ arg ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Go on with argv[1:], behind a child that puts a CR before each LF that has none, in both directions."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    interpose(
        lambda to_program, from_program: (
            Flow(0, to_program, FixCr().feed),
            Flow(from_program, 1, FixCr().feed),
        )
    )
    return Chain(tuple(argv[1:]), environ)
