"""System calls that Python has no function for.

ctypes costs 5 ms to import, so it is imported where it is called.
"""

from __future__ import annotations

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Be the parent of every descendant whose own parent dies; False where the kernel cannot."""
    import ctypes

    failed: int = ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return failed == 0
