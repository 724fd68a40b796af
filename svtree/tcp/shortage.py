"""Running a loop through a time without memory: what fails is done later, and nothing ends.

A MemoryError may come out of anything, and leaves it half done. So there is no more than this after it: what can be
spared is given up, a reserve first of all, so that a signal can be heard and a child be reaped; a moment passes; and
what may have been missed is looked for.
"""

from __future__ import annotations

from time import sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.system.loop import Loop

# How long others have to give memory back before we ask again, in seconds.
REST = 0.5
# What is kept for that time, in bytes: address space, which is no memory before it is used. The interpreter takes a MB
# at once for small objects, which leaves this less one for all others.
RESERVE = 4 << 20


def run(loop: Loop, spare: Callable[[], None], catch_up: Callable[[], None]) -> None:
    """Turn `loop` until it is stopped. `spare` gives up what it can; `catch_up` does what may not have been done.

    Both may raise MemoryError, and may be called again and again.
    """
    behind = False
    reserve = _reserve()
    loop.start()
    while loop.running:
        try:
            if behind:
                # Signals first: one may say that it is time to go.
                loop.turn(0.0)
                catch_up()
                behind = False
            while loop.running:
                reserve = reserve or _reserve()
                loop.turn()
        except MemoryError:
            reserve = None
            behind = True
            _rest(spare)


def _reserve() -> bytes | None:
    try:
        return bytes(RESERVE)
    except MemoryError:
        return None


def _rest(spare: Callable[[], None]) -> None:
    try:
        spare()
        # Not a timer, which would be another object; clients wait in the backlog.
        sleep(REST)
    except MemoryError:
        # As from a signal's handler.
        return
