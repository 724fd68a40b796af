"""svok: tell whether a service is supervised."""

from __future__ import annotations

import errno

from svtree.program import PERMANENT, Fatal, UsageError
from svtree.supervision import ask
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "svok: usage: svok dir"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this signature
    """Return 0 if a supervisor runs for the directory argv[1], silently 100 if none does."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    directory = argv[1]
    try:
        ask.reach(directory)
    except OSError as error:
        raise Fatal(b"unable to chdir to " + directory + b": " + reason(error).encode()) from error
    try:
        ask.knock(directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            return PERMANENT
        raise Fatal(b"unable to open " + directory + b"/supervise/ok: " + reason(error).encode()) from error
    return 0
