"""qmail-showctl: describe this qmail: where it is, whose its parts are, what its control files say.

Follows qmail-showctl(8), a paragraph for each control file; trouble is told on standard output, among them.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.mail.reports.settings import describe, introduce
from svtree.program import TEMPORARY, UsageError
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-showctl: usage: qmail-showctl"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Print everything; 111 where there are no control files."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    home = controls.home(environ)
    write_all(1, introduce(home))
    files = controls.Controls(home)
    if not os.path.isdir(home):
        return _oops(b"Oops! Unable to chdir to %s.\n" % home)
    if not os.path.isdir(files.directory):
        return _oops(b"Oops! Unable to chdir to control.\n")
    try:
        names = os.listdir(files.directory)
    except OSError:
        return _oops(b"Oops! Unable to open current directory.\n")
    try:
        me = files.me()
    except controls.ControlError:
        return _oops(b"Oops! Trouble reading control/me.")
    write_all(1, describe(files, me, names))
    return 0


def _oops(text: bytes) -> int:
    write_all(1, text)
    return TEMPORARY
