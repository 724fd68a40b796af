"""maildirmake: make a Maildir.

Follows maildirmake(1): the directory must not be there yet; it and its tmp, new and cur are for their owner alone.
"""

from __future__ import annotations

import os

from svtree.program import Fatal, UsageError
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "maildirmake: usage: maildirmake name"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program's signature
    """Make the four directories."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    os.umask(0o077)
    for each in (argv[1], argv[1] + b"/tmp", argv[1] + b"/new", argv[1] + b"/cur"):
        try:
            os.mkdir(each, 0o700)
        except OSError as error:
            raise Fatal(b"unable to mkdir " + each + b": " + reason(error).encode()) from error
    return 0
