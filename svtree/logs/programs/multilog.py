"""multilog: write a log to automatically rotated files."""

from __future__ import annotations

import os

from svtree.formats import logscript
from svtree.logs.logger import Logger
from svtree.system.descriptors import ensure_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = (
    "multilog: usage: multilog [ t ] [ +pattern ] [ -pattern ] [ e ] [ =file ] [ ssize ] [ nnum ] [ !command ] dir ..."
)


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Log standard input as the script argv[1:] says."""
    ensure_standard()
    os.umask(0o022)
    logger = Logger(logscript.parse(argv[1:]), environ)
    try:
        logger.run()
    finally:
        logger.close()
    return 0
