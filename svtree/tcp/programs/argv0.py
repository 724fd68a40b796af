"""argv0: run a program under another name."""

from __future__ import annotations

from svtree.program import Chain, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "argv0: usage: argv0 realname program [ arg ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Go on with the program argv[1], telling it that its name is argv[2] and its arguments are what follows."""
    if len(argv) < 3:
        raise UsageError(USAGE)
    return Chain(tuple(argv[2:]), environ, file=argv[1])
