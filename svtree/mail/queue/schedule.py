"""When to try again. Pure: numbers are message numbers, moments are seconds since 1970.

Follows nextretry() and the priority queues of qmail-send.c: the n-th attempt for a message is made n*10 (local) or
n*20 (remote) squared seconds after its birth, so that a young message is tried often and an old one seldom.
"""

from __future__ import annotations

import heapq
import math

SKIP = (10, 20)
# Seconds: todo/ is looked at this often even when nobody pulls the trigger; cleanups; after a failed system call.
TODO = 1500
CLEANUP = 76431
TROUBLE = 123
FOREVER = 86400
# Age at which a message file that is in no state any more is removed; above qmail-queue's day.
OSSIFIED = 129600


def next_retry(birth: int, now: int, channel: int) -> int:
    """The moment of the next attempt after one that is made `now`."""
    age = 0 if birth > now else math.isqrt(now - birth)
    return birth + (age + SKIP[channel]) ** 2


class Agenda:
    """Message numbers by the moment at which they are due; of several due at once the first inserted comes first."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        """Empty."""
        self._heap: list[tuple[int, int, int]] = []
        self._order = 0

    def __len__(self) -> int:
        """How many numbers wait."""
        return len(self._heap)

    def insert(self, due: int, number: int) -> None:
        """Add a number; one that is there already is there twice."""
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, number))

    def first(self) -> int | None:
        """When the earliest is due; None if nothing waits."""
        return self._heap[0][0] if self._heap else None

    def pop(self, now: int) -> int | None:
        """Take out and return the earliest number if it is due."""
        if not self._heap or self._heap[0][0] > now:
            return None
        return heapq.heappop(self._heap)[2]

    def hurry(self, now: int) -> None:
        """Make everything due, in its order, as ALRM wants it."""
        self._heap = [(now, order, number) for order, (_, _, number) in enumerate(sorted(self._heap))]
        self._order = len(self._heap)

    def drain(self) -> list[tuple[int, int]]:
        """Take out everything: (due, number), earliest first."""
        everything = [(due, number) for due, _, number in sorted(self._heap)]
        self._heap.clear()
        return everything
