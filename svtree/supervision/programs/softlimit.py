"""softlimit: run a program with resource limits."""

from __future__ import annotations

from svtree.program import Chain, Fatal, UsageError, options
from svtree.system import rlimits
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = (
    "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes]"
    " [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child"
)
# The original counts in unsigned longs.
WORD = (1 << 64) - 1


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Set the soft limits that the options ask for and go on with the rest of argv."""
    letters, rest = options(argv, "a:c:d:f:l:m:o:p:r:s:t:", USAGE)
    limits: dict[int, int] = {}
    for letter, text in letters:
        if text == b"=":
            amount = None
        elif text.strip(b"0123456789"):
            raise UsageError(USAGE)
        else:
            # 10^64 is 0 modulo 2^64: digits before the last 64 do not count.
            amount = int(text[-64:] or b"0") & WORD
        rlimits.wanted(letter, amount, limits)
    if not rest:
        raise UsageError(USAGE)
    following = Chain(tuple(rest), environ)
    try:
        rlimits.apply(limits)
    except OSError as error:
        raise Fatal(f"setrlimit failed: {reason(error)}") from error
    return following
