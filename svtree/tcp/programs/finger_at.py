"""finger@: show what a host tells about a user."""

from __future__ import annotations

from svtree.tcp.fetching import consult
from svtree.tcp.lines import add_cr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "finger@: usage: finger@ [ host [ user ] ]"
DEFAULTS = (b"0", b"")


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Ask the host argv[1], by default this one, at port 79 about the user argv[2], by default about everybody."""
    host, user = (*argv[1:3], *DEFAULTS[len(argv[1:3]) :])
    return consult(host, b"79", add_cr(user + b"\n"), environ)
