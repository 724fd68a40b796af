"""What tcpserver tells on standard error, as far as it was asked to.

Lines that belong together go out in one write, so that those of several processes do not mix.
"""

from __future__ import annotations

from time import monotonic

from svtree.system.streams import write_all
from svtree.tcp import connection
from svtree.tcp.settings import QUIET, VERBOSE

# How often the same trouble is told of, in seconds.
INTERVAL = 10.0


class Journal:
    """Writes event lines when verbose and warnings unless silent; a log that is gone stops no connection."""

    def __init__(self, verbosity: int, descriptor: int = 2) -> None:
        """`verbosity` is one of SILENT, QUIET and VERBOSE of svtree.tcp.settings."""
        self.verbose = verbosity >= VERBOSE
        self._warns = verbosity >= QUIET
        self._descriptor = descriptor
        # For each trouble, when to tell of it again, and how often it has been kept quiet since.
        self._troubles: dict[str, tuple[float, int]] = {}

    def tell(self, *lines: bytes) -> None:
        """Events, each with its newline."""
        if self.verbose:
            self._write(b"".join(lines))

    def warn(self, line: bytes) -> None:
        """An error, with its newline."""
        if self._warns:
            self._write(line)

    def trouble(self, kind: str, line: bytes) -> None:
        """An error that may come a thousand times a second, told once in an interval; `line` without its newline."""
        now = monotonic()
        due, kept = self._troubles.get(kind, (0.0, 0))
        if now < due:
            self._troubles[kind] = due, kept + 1
            return
        self._troubles[kind] = now + INTERVAL, 0
        self.warn(line + (b" (and %d times before)\n" % kept if kept else b"\n"))

    def dropped(self, reason: bytes) -> None:
        """A connection is closed unserved; `reason` begins in lower case and has no full stop."""
        self.warn(connection.dropping(reason))

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._descriptor, data)
        except OSError:
            return
