"""A client at the other end of two descriptors: reading and writing with a time limit.

Replies are gathered and leave in one write, before the next read: a reply in two writes costs 40 ms each time, when
the second waits for the acknowledgement of the first (Nagle) and the client delays that.
"""

from __future__ import annotations

import os
from errno import EINVAL, ENOSYS, EOPNOTSUPP
from select import POLLIN, POLLOUT, poll

from svtree.system import farewell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from signal import SIG_IGN, SIGPIPE, signal
    from typing import Self
else:
    from _signal import SIG_IGN, SIGPIPE, signal

BLOCK = 65536
# A write of so much after POLLOUT does not block, on a pipe by POSIX (PIPE_BUF), on a socket by its low-water mark.
CERTAIN = 4096
# Replies that are not waited for leave when there are so many.
GATHERED = 65536
# What says that this kernel, or this kind of file, has no write that refuses to wait.
NO_SUCH_WRITE = {EINVAL, ENOSYS, EOPNOTSUPP}


class SilentError(Exception):
    """The client has sent nothing, or taken nothing, for too long."""


class GoneError(Exception):
    """The client has closed the connection, or it broke."""


class Dialogue:
    """Use as a context: within it a client that is gone is an error to handle, not a SIGPIPE to die of."""

    def __init__(self, timeout: float, source: int = 0, sink: int = 1) -> None:
        """`timeout` is in seconds, for each read and each write; the descriptors stay the caller's."""
        self._timeout = int(min(timeout, 2_000_000) * 1000)
        self.source = source
        self._sink = sink
        self._gathered = bytearray()
        self._readable = poll()
        self._readable.register(source, POLLIN)
        self._put: Callable[[int, memoryview], int] = _write_without_waiting

    def __enter__(self) -> Self:
        """Ignore SIGPIPE."""
        self._previous = signal(SIGPIPE, SIG_IGN)
        return self

    def __exit__(self, *_: object) -> None:
        """SIGPIPE does again what it did."""
        signal(SIGPIPE, self._previous)

    def say(self, data: bytes) -> None:
        """Send `data`, at the latest before the next `hear`."""
        self._gathered += data
        if len(self._gathered) >= GATHERED:
            self.flush()

    def hear(self, most: int = BLOCK) -> bytes:
        """What the client sends next, at least one byte. Raises SilentError and GoneError."""
        self.flush()
        if not self._readable.poll(self._timeout):
            raise SilentError
        try:
            data = os.read(self.source, most)
        except OSError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        return data

    def flush(self) -> None:
        """Send what has been gathered. Raises SilentError and GoneError."""
        if not self._gathered:
            return
        data, self._gathered = memoryview(self._gathered), bytearray()
        while data:
            try:
                data = data[self._put(self._sink, data) :]
            except BlockingIOError:
                self._wait()
            except OSError as error:
                if error.errno not in NO_SUCH_WRITE or self._put is not _write_without_waiting:
                    raise GoneError from error
                self._put = self._write_a_little

    def part(self) -> None:
        """Send what has been gathered; it is the last. Raises SilentError and GoneError."""
        if self._gathered:
            del self._gathered[: farewell.say(self._sink, self._gathered)]
        self.flush()

    def _wait(self) -> None:
        writable = poll()
        writable.register(self._sink, POLLOUT)
        if not writable.poll(self._timeout):
            raise SilentError

    def _write_a_little(self, descriptor: int, data: memoryview) -> int:
        self._wait()
        return os.write(descriptor, data[:CERTAIN])


def _write_without_waiting(descriptor: int, data: memoryview) -> int:
    """write(2) that fails with EAGAIN where it would wait, whatever the descriptor's flags.

    The flags belong to everybody who shares the file, so O_NONBLOCK is not ours to set; and an import of `socket` for
    MSG_DONTWAIT is 5 ms. On a socket RWF_NOWAIT is MSG_DONTWAIT.
    """
    return os.pwritev(descriptor, [data], -1, os.RWF_NOWAIT)
