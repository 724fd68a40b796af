"""A deadline for work in system calls that cannot be given one: file locks, file systems that hang."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import ITIMER_REAL, SIGALRM, setitimer, signal
    from types import FrameType
    from typing import Self
else:
    from _signal import ITIMER_REAL, SIGALRM, setitimer, signal

# Seconds between two rings that nobody has heard.
AGAIN = 1.0


class AlarmError(Exception):
    """The time is up. Not an OSError: it must not be taken for a failure of the call that it interrupts."""


class Alarm:
    """`with Alarm(30):` raises AlarmError inside the block when it is not left within so many seconds.

    It is the process's one alarm: blocks do not nest, and only the main thread may use it.
    """

    def __init__(self, seconds: int) -> None:
        """`seconds` is at least 1."""
        self._seconds = seconds

    def __enter__(self) -> Self:
        """Start the clock."""
        self._previous = signal(SIGALRM, _ring)
        # Race: a signal that comes when the interpreter has looked for signals for the last time, but before the
        # system call has begun, interrupts nothing, and _ring would run when the call returns, if ever. So it is rung
        # until it is heard.
        setitimer(ITIMER_REAL, self._seconds, AGAIN)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the clock; the handler of before is back."""
        setitimer(ITIMER_REAL, 0)
        signal(SIGALRM, self._previous)


def _ring(_number: int, _frame: FrameType | None) -> None:
    # Heard: what is done about it takes its time.
    setitimer(ITIMER_REAL, 0)
    raise AlarmError
