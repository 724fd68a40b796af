"""Putting a whole file system on disk at once: syncfs(2), which the os module does not have.

One syncfs does for any number of messages what an fsync a file does for one. It waits for other programs' data on the
same file system too, so it pays from a few files on, in one process that has many to sync: qmail-queued, qmail-send.
Processes that finish at the same moment each fsync their own: the journal commits them together, which was measured to
be several times as fast as a protocol of ours between them (ADR 5).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# From so many messages on one syncfs is the cheaper way.
CROWD = 4

_syncfs: Callable[[int], int] | None = None


def syncfs(descriptor: int) -> None:
    """Put on disk the whole file system that holds `descriptor`. OSError if anything on it was lost since the last.

    The kernel tells each open descriptor once of a lost write; so `descriptor` is one that was open before the writes,
    and whoever is told must give up everything that was being written.
    """
    # Imported here: a process that syncs but its own two files does not pay for ctypes.
    import ctypes

    global _syncfs  # noqa: PLW0603 - the C function, looked up once
    if _syncfs is None:
        _syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    if _syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
