"""readproctitle: show the last of what it reads in its command line."""

from __future__ import annotations

import os

from svtree.program import PERMANENT, TEMPORARY
from svtree.system.streams import BLOCK
from svtree.system.title import Title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "readproctitle: usage: readproctitle label ... ....."
# At the left of the text there are always these.
DOTS = b"..."
SHORTEST = 5


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this form
    """Show standard input in the place of the last argument until it ends, newest at the right, without NULs.

    As in the original, there is no message: whoever started us has no other place for one.
    """
    if len(argv) < 2 or len(argv[-1]) < SHORTEST:
        return PERMANENT
    title = Title(argv[-1])
    room = len(argv[-1]) - len(DOTS)
    shown = b"." * room
    title.show(DOTS + shown)
    try:
        while block := os.read(0, BLOCK):
            shown = (shown + block.replace(b"\0", b""))[-room:]
            title.show(DOTS + shown)
    except OSError:
        return TEMPORARY
    finally:
        title.close()
    return 0
