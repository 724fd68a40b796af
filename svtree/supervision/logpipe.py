"""The pipe between a service and its logger: a FIFO in the service's supervise/, which outlives all three.

The service has it open for reading and writing as its standard output: it is its own reader, so that it meets neither
SIGPIPE nor an error while logger and supervisor are both dead, and what it writes stays in the pipe. The logger has
it open for reading alone, so that it sees the end of its input when everybody else has let go. The supervisor holds
it for reading and writing in between, so that nobody sees an end while another is started anew.

Each start gets an open of its own: a service that makes its standard output non-blocking does so for itself alone.
That open goes through our hold, not through the service's directory, which may be closed when the logger of a service
that is gone is started to read what it left.
"""

from __future__ import annotations

import os

from svtree.system import fifo

NAME = b"supervise/logpipe"


class LogPipe:
    """The supervisor's hold on the FIFO below `base`, the path of a service directory with its final slash."""

    __slots__ = ("_held",)

    def __init__(self, base: bytes) -> None:
        """Make it if need be and hold it; OSError."""
        fifo.make(base + NAME)
        self._held = fifo.hold(base + NAME)

    def for_service(self) -> int:
        """A descriptor to be the service's standard output, to be closed once it has been started."""
        return self._open(os.O_RDWR)

    def for_logger(self) -> int:
        """A descriptor to be the logger's standard input, to be closed once it has been started."""
        # We hold it for writing, so this open does not wait.
        return self._open(os.O_RDONLY)

    def unread(self) -> int:
        """How many bytes no logger has read yet."""
        return fifo.unread(self._held) if self._held >= 0 else 0

    def let_go(self) -> None:
        """Hold it no longer: when no process of the service has it either, the logger reads to its end."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _open(self, how: int) -> int:
        return os.open(b"/proc/self/fd/%d" % self._held, how | os.O_CLOEXEC)
