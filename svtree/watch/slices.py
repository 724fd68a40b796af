"""Long work in short pieces, so that reading a large file never holds up the loop."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from svtree.system.loop import Loop, Timer

# Seconds of work in one turn of the loop.
SLICE = 0.005


class Slices:
    """Runs iterators to their ends, one after the other, a few milliseconds in each turn of the loop."""

    def __init__(self, loop: Loop) -> None:
        """Nothing is run before the first turn."""
        self._loop = loop
        self._waiting: list[Iterator[None]] = []
        self._timer: Timer | None = None

    def add(self, work: Iterator[None]) -> None:
        """Run `work`, whose every step is short, in turns of the loop to come."""
        self._waiting.append(work)
        self._arm()

    def close(self) -> None:
        """Run nothing more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._loop.after(0, self._turn)

    def _turn(self) -> None:
        clock = self._loop.clock
        until = clock.monotonic() + SLICE
        try:
            while self._waiting and clock.monotonic() < until:
                work = self._waiting[0]
                try:
                    next(work)
                except StopIteration:
                    # A step may have closed us.
                    if self._waiting and self._waiting[0] is work:
                        self._waiting.pop(0)
        finally:
            self._timer = None
            self._arm()
