"""Deadlines by name: one of each at a time, all of them gone with their service."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.system.loop import Loop, Timer


class Timers:
    """The deadlines of one service."""

    __slots__ = ("_armed", "_loop")

    def __init__(self, loop: Loop) -> None:
        """None yet."""
        self._loop = loop
        self._armed: dict[str, Timer] = {}

    def __contains__(self, name: str) -> bool:
        """Whether that one is still to come."""
        return name in self._armed

    def arm(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in so many seconds; one of that name that is still to come does not."""
        self.disarm(name)

        def due() -> None:
            self._armed.pop(name, None)
            action()

        self._armed[name] = self._loop.after(seconds, due)

    def disarm(self, name: str) -> None:
        """Call nothing."""
        timer = self._armed.pop(name, None)
        if timer is not None:
            timer.cancel()

    def clear(self) -> None:
        """Disarm all."""
        for name in list(self._armed):
            self.disarm(name)
