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
        self._came: set[int] = set()
        self._previous = {number: getsignal(number) for number in numbers}
        self._fd_before = set_wakeup_fd(self._end, warn_on_full_buffer=False)
        for number in numbers:
            signal(number, self._note)

    def pending(self) -> bool:
        """Whether a signal has come.

        To be asked after every poll: one that came when poll had already looked at `descriptor`, but before poll
        returned, counts as come before whatever poll found.
        """
        return bool(self._came)

    def take(self) -> set[int]:
        """The signals that came since the last call."""
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            pass
        # One that comes between these two lines is taken now and wakes us once more for nothing.
        came, self._came = self._came, set()
        return came

    def close(self) -> None:
        """Put everything back as it was."""
        for number, handler in self._previous.items():
            signal(number, handler)
        set_wakeup_fd(self._fd_before)
        os.close(self.descriptor)
        os.close(self._end)

    def _note(self, number: int, _: object) -> None:
        self._came.add(number)
