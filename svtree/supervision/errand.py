"""A short-lived child that does something for a service beside its run: `check`, `control/LETTER`.

It has a time limit, after which it is killed, and is always reaped.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from svtree.supervision.process import look_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.supervision.process import Exit
    from svtree.system.loop import Loop, Timer


class Errand:
    """One that runs; `done` is called once, with how it ended if that is known, unless it is closed before."""

    __slots__ = ("_done", "_late", "_loop", "_process")

    def __init__(
        self, loop: Loop, launch: Callable[[], int], seconds: float, done: Callable[[Exit | None], None]
    ) -> None:
        """`launch` starts it and returns its pid. Raises OSError where it cannot be started or looked after."""
        self._loop = loop
        self._done: Callable[[Exit | None], None] | None = done
        self._process = look_after(loop, launch(), self._over)
        self._late: Timer = loop.after(seconds, self._kill)

    def hurry(self, seconds: float) -> None:
        """It has no more than this from now on."""
        self._late.cancel()
        self._late = self._loop.after(seconds, self._kill)

    def close(self) -> None:
        """Kill it; it is reaped when that has come to pass."""
        self._done = None
        self._kill()

    def _kill(self) -> None:
        self._process.send(signal.SIGKILL)

    def _over(self) -> None:
        self._late.cancel()
        ended = self._process.reap()
        if self._done is not None:
            self._done(ended)
