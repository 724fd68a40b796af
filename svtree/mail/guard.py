"""Who has failed to log in lately: a file an address in one directory, QMAILHOME/users/failures.

A file is called as the address (of IPv6 the network of 64 bits that one customer has), holds the number of failures in
a row, and its modification time is the last one. So it is seen with ls, mended with rm, and shared by all services of
the tree. At most MOST files are kept. Where the directory cannot be had, logins go on without it.
"""

from __future__ import annotations

import os
import time
from fcntl import LOCK_EX, flock

from svtree.formats import ip
from svtree.formats.numbers import scan
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from svtree.mail.controls import Controls

# Failures that lock an address out, and for how many seconds after the last of them.
FAILURES: Final = 10
LOCKOUT: Final = 900
# The longest that a failure waits for its answer, in seconds.
SLOWEST: Final = 8
MOST: Final = 10_000


@record
class Limits:
    """control/loginfailures (0: nothing is counted) and control/loginlockout (seconds)."""

    failures: int
    lockout: int

    @classmethod
    def read(cls, controls: Controls) -> Limits:
        """Raises ControlError."""
        return cls(controls.number("loginfailures", FAILURES), controls.number("loginlockout", LOCKOUT))


class Guard:
    """The failures of one address."""

    def __init__(self, home: bytes, address: bytes, limits: Limits, now: Callable[[], float] = time.time) -> None:
        """`address` as $TCPREMOTEIP has it; what is no address has no failures."""
        self._folder = home + b"/users/failures"
        found = ip.parse(address)
        self._name = None if found is None or not limits.failures else ip.network(found)
        self._limits = limits
        self._now = now

    def is_locked_out(self) -> bool:
        """Whether the address has failed too often to be heard now."""
        return self._count() >= self._limits.failures if self._name is not None else False

    def failed(self) -> int:
        """Count one more failure; how many there are, 0 where that cannot be kept."""
        if self._name is None:
            return 0
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
            path = self._folder + b"/" + self._name
            if not os.path.exists(path):
                self._make_room()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            try:
                # Two failures at once are two.
                flock(descriptor, LOCK_EX)
                count = 1 + self._read(descriptor)
                os.pwrite(descriptor, b"%d\n" % count, 0)
                os.utime(descriptor, (self._now(), self._now()))
            finally:
                os.close(descriptor)
        except OSError:
            return 0
        return count

    def succeeded(self) -> None:
        """Forget the failures."""
        if self._name is None:
            return
        try:
            os.unlink(self._folder + b"/" + self._name)
        except OSError:
            return

    def _count(self) -> int:
        assert self._name is not None  # noqa: S101 - asked by the callers
        try:
            descriptor = os.open(self._folder + b"/" + self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            return self._read(descriptor)
        except OSError:
            return 0
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> int:
        if self._is_over(os.fstat(descriptor).st_mtime):
            return 0
        return scan(os.pread(descriptor, 20, 0))[0] or 0

    def _is_over(self, last: float) -> bool:
        # A failure from the future is one from before the clock was set back.
        return not -60 <= self._now() - last < self._limits.lockout

    def _make_room(self) -> None:
        """Before one more: remove what is over where there are too many, and if that is not enough, the oldest."""
        entries = list(os.scandir(self._folder))
        if len(entries) < MOST:
            return
        ages = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries)
        surplus = len(ages) - MOST + 1
        for number, (last, path) in enumerate(ages):
            if number < surplus or self._is_over(last):
                os.unlink(path)


def delay(failures: int) -> int:
    """Seconds that an answer waits which is the so-manieth failure in a row: 0, 1, 2, 4, 8, 8, ..."""
    return min(SLOWEST, 1 << min(failures, 8) >> 2) if failures > 1 else 0
