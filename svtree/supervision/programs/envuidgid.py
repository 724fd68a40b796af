"""envuidgid: run a program with an account's ids in the environment."""

from __future__ import annotations

from svtree.program import Chain, Fatal, UsageError
from svtree.system.privileges import account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "envuidgid: usage: envuidgid account child"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Put the ids of the account argv[1] into UID and GID and go on with argv[2:]."""
    if len(argv) < 3:
        raise UsageError(USAGE)
    found = account(argv[1])
    if found is None:
        raise Fatal(b"unknown account " + argv[1])
    return Chain(tuple(argv[2:]), {**environ, b"GID": b"%d" % found.gid, b"UID": b"%d" % found.uid})
