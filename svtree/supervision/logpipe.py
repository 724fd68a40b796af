"""The pipe between a service and its logger: a FIFO in the service's supervise/, which outlives all three.

The service has it open for reading and writing as its standard output: it is its own reader, so that it meets neither
SIGPIPE nor an error while logger and supervisor are both dead, and what it writes stays in the pipe. The logger has
it open for reading alone, so that it sees the end of its input when everybody else has let go. The supervisor holds
it for reading and writing in between, so that nobody sees an end while another is started anew.

Each start gets an open of its own: a service that makes its standard output non-blocking does so for itself alone.
"""

from __future__ import annotations

import os

from svtree.system import fifo

NAME = b"supervise/logpipe"


class LogPipe:
    """The supervisor's hold on the FIFO below `base`, the path of a service directory with its final slash."""

    __slots__ = ("_held", "_path")

    def __init__(self, base: bytes) -> None:
        """Make it if need be and hold it; OSError."""
        self._path = base + NAME
        fifo.make(self._path)
        self._held = fifo.hold(self._path)

    def for_service(self) -> int:
        """A descriptor to be the service's standard output, to be closed once it has been started."""
        return os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def for_logger(self) -> int:
        """A descriptor to be the logger's standard input, to be closed once it has been started."""
        # We hold it for writing, so this open does not wait.
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def unread(self) -> int:
        """How many bytes no logger has read yet."""
        return fifo.unread(self._held) if self._held >= 0 else 0

    def let_go(self) -> None:
        """Hold it no longer: when no process of the service has it either, the logger reads to its end."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
