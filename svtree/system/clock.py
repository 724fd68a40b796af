"""Time, handed in rather than asked for, so that ten minutes of back-off take a test a millisecond."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Clock(Protocol):
        """What the engines ask for the time."""

        def monotonic(self) -> float:
            """Seconds since some fixed moment; never goes back."""

        def wall(self) -> float:
            """Seconds since 1970-01-01 00:00 UTC."""

        def wall_ns(self) -> int:
            """Nanoseconds since 1970-01-01 00:00 UTC."""


class SystemClock:
    """The machine's own time."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    wall_ns = staticmethod(time.time_ns)


SYSTEM = SystemClock()
