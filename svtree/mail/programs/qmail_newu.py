"""qmail-newu: compile users/assign into users/cdb.

Follows qmail-newu(8). qmail-lspawn reads the cdb at its next delivery.
"""

from __future__ import annotations

import os

from svtree.formats import assign, cdb
from svtree.mail import controls
from svtree.mail.compiled import put
from svtree.program import Fatal, UsageError
from svtree.system.atomic import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-newu: usage: qmail-newu"
SOURCE = b"users/assign"
TEMPORARY_FILE = b"users/cdb.tmp"
TARGET = b"users/cdb"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Compile; on any failure the old cdb stays."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    os.umask(0o033)
    try:
        os.chdir(controls.home(environ))
    except OSError as error:
        raise Fatal("unable to chdir") from error
    try:
        text = read(SOURCE)
    except IsADirectoryError as error:
        raise Fatal("unable to read users/assign") from error
    except OSError as error:
        raise Fatal("unable to open users/assign") from error
    try:
        records = assign.records(text)
    except assign.AssignError as error:
        raise Fatal("bad format in users/assign") from error
    try:
        put(TEMPORARY_FILE, cdb.make(records))
    except (OSError, cdb.CdbError) as error:
        raise Fatal("unable to write users/cdb.tmp") from error
    try:
        os.rename(TEMPORARY_FILE, TARGET)
    except OSError as error:
        raise Fatal("unable to move users/cdb.tmp to users/cdb") from error
    return 0
