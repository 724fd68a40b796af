"""qmail-send's log: whole lines to descriptor 0, which qmail-start has made its logger's."""

from __future__ import annotations

import os
import select


class Log:
    """Writes lines, each in one write. A reader that is slow holds us back; one that is gone is not an error."""

    def __init__(self, descriptor: int = 0) -> None:
        """`descriptor` stays the caller's."""
        self._descriptor = descriptor

    def __call__(self, line: bytes) -> None:
        """Write one line, without its newline."""
        rest = line + b"\n"
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Somebody who shares the pipe has made it non-blocking; dropping lines is not the answer.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:
                return
