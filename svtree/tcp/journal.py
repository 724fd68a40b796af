"""What tcpserver tells on standard error, as far as it was asked to.

Lines that belong together go out in one write, so that those of several processes do not mix.
"""

from __future__ import annotations

from svtree.system.streams import write_all
from svtree.tcp import connection
from svtree.tcp.settings import QUIET, VERBOSE


class Journal:
    """Writes event lines when verbose and warnings unless silent; a log that is gone stops no connection."""

    def __init__(self, verbosity: int, descriptor: int = 2) -> None:
        """`verbosity` is one of SILENT, QUIET and VERBOSE of svtree.tcp.settings."""
        self.verbose = verbosity >= VERBOSE
        self._warns = verbosity >= QUIET
        self._descriptor = descriptor

    def tell(self, *lines: bytes) -> None:
        """Events, each with its newline."""
        if self.verbose:
            self._write(b"".join(lines))

    def warn(self, line: bytes) -> None:
        """An error, with its newline."""
        if self._warns:
            self._write(line)

    def dropped(self, reason: bytes) -> None:
        """A connection is closed unserved; `reason` begins in lower case and has no full stop."""
        self.warn(connection.dropping(reason))

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._descriptor, data)
        except OSError:
            return
