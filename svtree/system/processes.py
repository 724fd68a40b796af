"""Which children of this process somebody inside it waits for.

A supervisor that is PID 1 reaps whoever ends; a part of it that started a child for itself wants that child's exit
status. So the part registers its child here and reaps it by its pid, and whoever reaps orphans leaves alone what is
known.
"""

from __future__ import annotations

_known: set[int] = set()


def register(pid: int) -> None:
    """Claim a child, right after it was started and before anything else is waited for."""
    _known.add(pid)


def release(pid: int) -> None:
    """Give up a child that has been reaped; its pid may be another's from now on."""
    _known.discard(pid)


def known() -> set[int]:
    """The children that somebody will reap."""
    return set(_known)
