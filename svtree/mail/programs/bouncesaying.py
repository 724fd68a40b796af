"""bouncesaying: bounce a message with an error of one's own, perhaps only if a program says so, from a .qmail file.

Follows bouncesaying(1) and bouncesaying.c: the program, if there is one, says yes by exit 0, no by any other code but
111.
"""

from __future__ import annotations

from svtree.mail.delivery.command import agrees
from svtree.program import PERMANENT, UsageError
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "bouncesaying: usage: bouncesaying error [ program [ arg ... ] ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Exit 100 with the error, for qmail-local to bounce with; 0 when the program says no."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    if len(argv) > 2 and not agrees(argv[2:], environ):
        return 0
    complain(argv[1])
    return PERMANENT
