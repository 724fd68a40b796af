"""Files that are locked for as long as a process lives: flock, as daemontools' supervise and runit's runsv use it."""

from __future__ import annotations

import fcntl
import os


def take(path: bytes, mode: int = 0o600) -> int:
    """Open `path` for reading and writing (made if need be) and lock it; BlockingIOError if somebody else has it.

    The lock ends when the descriptor, which the caller owns, is closed here and in whatever child has it open.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
