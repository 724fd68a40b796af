"""mconnect: talk to an SMTP server by hand."""

from __future__ import annotations

import os

from svtree.program import TEMPORARY
from svtree.tcp.fetching import reach
from svtree.tcp.filters import converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "mconnect: usage: mconnect [ host [ port ] ]"

DEFAULTS = (b"0", b"25")


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Send standard input, with a CR before each LF, to the host argv[1] at the port argv[2]; show what comes back."""
    host, port = (*argv[1:3], *DEFAULTS[len(argv[1:3]) :])
    descriptor = reach(host, port, environ)
    if descriptor is None:
        return TEMPORARY
    # Two numbers for the one connection: reading and writing are waited for apart.
    converse(descriptor, os.dup(descriptor))
    return 0
