"""who@: show who is logged in at a host."""

from __future__ import annotations

from svtree.tcp.fetching import consult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "who@: usage: who@ [ host ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Show what the host argv[1], by default this one, says at port 11, systat."""
    return consult(argv[1] if len(argv) > 1 else b"0", b"11", b"", environ)
