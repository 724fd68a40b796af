"""pgrphack: run a program in a process group of its own."""

from __future__ import annotations

import os

from svtree.program import Chain, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "pgrphack: usage: pgrphack child"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Begin a session, and with it a process group, and go on with argv[1:]."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    try:
        os.setsid()
    except PermissionError:
        # We lead a process group already; the original does not mind either.
        pass
    return Chain(tuple(argv[1:]), environ)
