"""Finding the mail programs that another one runs, also where PATH is as short as cron's.

The originals run them out of qmail's bin/. Ours are first looked for in $PATH, so that a real qmail there is used, and
then in the directory that the running program is in.
"""

from __future__ import annotations

import os
import sys

from svtree.multicall import DEFAULT_PATH, search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.program import Environ


def path(environ: Environ) -> bytes:
    """$PATH, and behind it the directory of the running program."""
    here = os.path.dirname(os.path.realpath(os.fsencode(sys.argv[0] or sys.executable)))
    return environ.get(b"PATH", DEFAULT_PATH) + b":" + here


def find(name: bytes, environ: Environ) -> bytes:
    """The program `name` in `path`; the name itself where there is none, for whoever runs it to complain of."""
    return search(name, {b"PATH": path(environ)}) or name
