"""setlock: run a program with a file locked."""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, flock

from svtree.program import Chain, Fatal, UsageError, options
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Lock the file that stands first after the options and go on with what follows it, the lock held.

    The lock belongs to the open file, so it lasts until the program and all to whom it gives the descriptor are gone.
    """
    letters, rest = options(argv, "nNxX", USAGE)
    if len(rest) < 2:
        raise UsageError(USAGE)
    # The last of contradicting options counts.
    chosen = {letter.lower(): letter for letter, _ in letters}
    patient = chosen.get("n") != "n"
    quiet = chosen.get("x") == "x"
    doing = b"open"
    try:
        descriptor = os.open(rest[0], os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CREAT, 0o600)
        doing = b"lock"
        flock(descriptor, LOCK_EX if patient else LOCK_EX | LOCK_NB)
    except OSError as error:
        if quiet:
            return 0
        raise Fatal(b"unable to " + doing + b" " + rest[0] + b": " + reason(error).encode()) from error
    os.set_inheritable(descriptor, True)
    return Chain(tuple(rest[1:]), environ)
