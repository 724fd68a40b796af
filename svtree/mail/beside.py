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

# The names by which systems call sendmail when they mean one thing that it does.
LINKS = (b"mailq", b"newaliases")


def called(name: bytes) -> bytes:
    """What the running program is called by: `name`, its argv[0], or the link that leads to its launcher."""
    base = os.path.basename(name)
    link = os.path.basename(os.fsencode(sys.argv[0]))
    return link if link in LINKS else base


def path(environ: Environ) -> bytes:
    """$PATH, and behind it the directory of the running program."""
    here = os.path.dirname(os.path.realpath(os.fsencode(sys.argv[0] or sys.executable)))
    return environ.get(b"PATH", DEFAULT_PATH) + b":" + here


def find(name: bytes, environ: Environ) -> bytes:
    """The program `name` in `path`; the name itself where there is none, for whoever runs it to complain of."""
    return search(name, {b"PATH": path(environ)}) or name
