"""qmail-newmrh: compile control/morercpthosts into morercpthosts.cdb.

Follows qmail-newmrh(8). qmail-smtpd reads the cdb for hosts that control/rcpthosts does not have.
"""

from __future__ import annotations

import os

from svtree.formats import cdb
from svtree.formats.control import lines
from svtree.mail import controls
from svtree.mail.compiled import put
from svtree.program import Fatal, UsageError
from svtree.system.atomic import read
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-newmrh: usage: qmail-newmrh"
SOURCE = b"control/morercpthosts"
TEMPORARY_FILE = b"control/morercpthosts.tmp"
TARGET = b"control/morercpthosts.cdb"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Compile; on any failure the old cdb stays."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    home = controls.home(environ)
    os.umask(0o033)
    try:
        os.chdir(home)
    except OSError as error:
        raise _fatal(b"unable to chdir to " + home, error) from error
    try:
        hosts = lines(read(SOURCE).lower())
    except OSError as error:
        raise _fatal(b"unable to read " + SOURCE, error) from error
    try:
        put(TEMPORARY_FILE, cdb.make((host, b"") for host in hosts))
    except cdb.CdbError as error:
        raise Fatal(b"unable to write to %s: %s" % (TEMPORARY_FILE, str(error).encode())) from error
    except OSError as error:
        raise _fatal(b"unable to write to " + TEMPORARY_FILE, error) from error
    try:
        os.rename(TEMPORARY_FILE, TARGET)
    except OSError as error:
        raise _fatal(b"unable to move " + TEMPORARY_FILE + b" to " + TARGET, error) from error
    return 0


def _fatal(what: bytes, error: OSError) -> Fatal:
    return Fatal(what + b": " + reason(error).encode())
