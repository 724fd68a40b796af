"""except: turn a program's yes into no and its no into yes, from a .qmail file.

Follows except(1) and except.c: exit 100 where the program exits 0, 111 where it exits 111, 0 otherwise.
"""

from __future__ import annotations

from svtree.mail.delivery.command import agrees
from svtree.program import PERMANENT, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "except: usage: except program [ arg ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run the program and exit the other way."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    return PERMANENT if agrees(argv[1:], environ) else 0
