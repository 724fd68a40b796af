"""tcpcat: show what a server says."""

from __future__ import annotations

from svtree.program import TEMPORARY
from svtree.tcp.fetching import reach, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "tcpcat: usage: tcpcat [ host [ port ] ]"

DEFAULTS = (b"0", b"17")


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Copy what the host argv[1] says at the port argv[2], by default 17, quote of the day, to standard output."""
    host, port = (*argv[1:3], *DEFAULTS[len(argv[1:3]) :])
    descriptor = reach(host, port, environ)
    if descriptor is None:
        return TEMPORARY
    return show(descriptor, lambda block: block, lambda: b"")
