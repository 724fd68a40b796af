"""The file queue/lock/tcpto that all deliveries to remote hosts share; see svtree.formats.tcpto.

It saves waiting, no more, so deliveries do not wait for it either: where it is not there, not ours to write, or
just being written, they do without it.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, flock

from svtree.formats import tcpto

# What qmail makes it: 64 records. More is not read.
SIZE = 1024
# What a person waits for the lock, in seconds; nobody who has it waits for anything.
PATIENCE = 30


class Timeouts:
    """Which hosts did not answer lately."""

    def __init__(self, home: bytes, now: int) -> None:
        """`home` is qmail's directory, `now` the time in seconds."""
        self._path = home + b"/queue/lock/tcpto"
        self._now = now

    def is_down(self, address: bytes) -> bool:
        """Tell whether to pass over a host, of which the 4-byte address is given."""
        descriptor = self._open()
        if descriptor is None:
            return False
        try:
            return tcpto.is_down(os.pread(descriptor, SIZE, 0), address, self._now, os.getpid())
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def note(self, address: bytes, now: int, *, timed_out: bool) -> None:
        """Remember how an attempt to connect to a host ended, at `now`."""
        descriptor = self._open()
        if descriptor is None:
            return
        try:
            change = tcpto.note(os.pread(descriptor, SIZE, 0), address, now, timed_out=timed_out)
            if change is not None:
                os.pwrite(descriptor, change[1], change[0])
        except OSError:
            return
        finally:
            os.close(descriptor)

    def _open(self) -> int | None:
        """The file, locked against other deliveries; None where it cannot be had at once."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor


def read(queue: bytes) -> bytes:
    """The file in the queue directory `queue`, at a moment when nobody writes it. Raises OSError, and AlarmError."""
    descriptor = _locked(queue)
    try:
        return os.pread(descriptor, SIZE, 0)
    finally:
        os.close(descriptor)


def clear(queue: bytes) -> None:
    """Forget every host, so that the next attempt is made at once. Raises OSError, and AlarmError."""
    descriptor = _locked(queue)
    try:
        os.pwrite(descriptor, bytes(SIZE), 0)
    finally:
        os.close(descriptor)


def _locked(queue: bytes) -> int:
    """The file, locked; a delivery holds the lock for a moment only."""
    from svtree.system.alarm import Alarm

    descriptor = os.open(queue + b"/lock/tcpto", os.O_RDWR | os.O_CLOEXEC)
    try:
        with Alarm(PATIENCE):
            flock(descriptor, LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
