"""Signals as something to poll: for loops too small for system.loop.

A signal's number is written to a pipe by the interpreter's C handler, at once, whatever the program is doing. So a
program that polls the pipe together with its input misses none, and is interrupted nowhere else.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGALRM, SIGTERM, getsignal, set_wakeup_fd, signal
else:
    from _signal import SIGALRM, SIGTERM, getsignal, set_wakeup_fd, signal

TERM = int(SIGTERM)
ALARM = int(SIGALRM)


class Wakeup:
    """The signals asked for, kept until `take`; `descriptor` is readable while there are any."""

    def __init__(self, *numbers: int) -> None:
        """Catch these signals from now on."""
        self.descriptor, self._end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._previous = {number: getsignal(number) for number in numbers}
        self._fd_before = set_wakeup_fd(self._end, warn_on_full_buffer=False)
        for number in numbers:
            signal(number, _noted)

    def take(self) -> frozenset[int]:
        """The signals that came since the last call."""
        try:
            return frozenset(os.read(self.descriptor, 4096))
        except BlockingIOError:
            return frozenset()

    def close(self) -> None:
        """Put everything back as it was."""
        for number, handler in self._previous.items():
            signal(number, handler)
        set_wakeup_fd(self._fd_before)
        os.close(self.descriptor)
        os.close(self._end)


def _noted(*_: object) -> None:
    """The C handler has written the number to the pipe already."""
