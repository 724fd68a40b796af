"""setuidgid: run a program as an account."""

from __future__ import annotations

from svtree.program import Chain, Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.privileges import account, become_group, become_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "setuidgid: usage: setuidgid account child"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Become the account argv[1], with its group alone, and go on with argv[2:]."""
    if len(argv) < 3:
        raise UsageError(USAGE)
    found = account(argv[1])
    if found is None:
        raise Fatal(b"unknown account " + argv[1])
    try:
        become_group(found.gid)
    except OSError as error:
        raise Fatal(f"unable to setgid: {reason(error)}") from error
    try:
        become_user(found.uid)
    except OSError as error:
        raise Fatal(f"unable to setuid: {reason(error)}") from error
    return Chain(tuple(argv[2:]), environ)
