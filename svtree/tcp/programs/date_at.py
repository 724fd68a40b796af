"""date@: show the time at a host."""

from __future__ import annotations

from svtree.tcp.fetching import consult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "date@: usage: date@ [ host ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Show what the host argv[1], by default this one, says at port 13, daytime."""
    return consult(argv[1] if len(argv) > 1 else b"0", b"13", b"", environ)
