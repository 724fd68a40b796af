"""Putting the queue on disk, one sync for everybody who waits: the first to come syncs for all who came meanwhile.

The promise of `settle`: when it returns, every write and every name that this process made in the queue before the
call is on disk, or OSError has been raised. Any number of unrelated processes share it; none of them trusts another
one to live.

The protocol uses one file, lock/sync, and its flock. Syncs are numbered. The file's *size* is the number of the last
one that began; its first bytes hold, under the lock only, the number of the last one that succeeded and of the last
that failed.

1. Read the size: s. (One fstat; the kernel changes a size in one step, so it is never half read.)
2. Take the lock. If it was free, nobody is syncing and nobody waits: fsync one's own files and go. Most messages on a
   quiet machine come this way, and another program's gigabytes are not waited for.
3. If it was held, wait for it. Then:
   - a sync numbered above s has failed: fail too. The kernel reports a lost write once per descriptor, and the one it
     was reported to may not have been us.
   - a sync numbered above s has succeeded: go. It began after its number was written, and that was after step 1, when
     our writes had been made.
   - otherwise begin number size + 1: write the new size, syncfs, write down its success or failure.

A leader that is killed leaves its number begun and neither succeeded nor failed, and the kernel drops its lock: the
next in line begins a higher number. Numbers only grow while the machine is up; the bytes are tagged with the boot id,
because after a power failure size and bytes may be of different ages. If two processes see different lock/sync files
(somebody removed it), they merely do not share.

Not for NFS, on which neither sizes nor syncfs mean this; qmail's queue has never been for NFS.
"""

from __future__ import annotations

import os
from errno import EIO
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAME = b"lock/sync"
BOOT_ID = b"/proc/sys/kernel/random/boot_id"
TAG = 36
HELD = TAG + 16


class SharedSync:
    """One process's part in the syncs of one queue."""

    __slots__ = ("_boot", "_directory", "_file")

    def __init__(self, directory: int) -> None:
        """`directory` is a descriptor of queue/, open for reading; it stays the caller's. OSError if not ours."""
        self._directory = directory
        self._boot = b""
        self._file = os.open(NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        status = os.fstat(self._file)
        try:
            if os.geteuid() == 0 and status.st_uid == 0:
                # Root was first: the file must be the queue owner's, or no one else could share.
                owner = os.stat(b"pid", dir_fd=directory).st_uid
                os.fchown(self._file, owner, -1)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._file)

    def settle(self, own: Iterable[int], *, crowd: bool = False) -> None:
        """Put everything written so far on disk; `own` are the descriptors to fsync when nobody else waits.

        With `crowd` the caller brings many files at once and prefers one syncfs.
        """
        seen = os.fstat(self._file).st_size
        try:
            flock(self._file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            flock(self._file, LOCK_EX)
            crowd = True
        try:
            if crowd:
                self._join(seen)
            else:
                for descriptor in own:
                    os.fsync(descriptor)
        finally:
            flock(self._file, LOCK_UN)

    def _join(self, seen: int) -> None:
        succeeded, failed = self._outcomes()
        if failed > seen:
            raise OSError(EIO, os.strerror(EIO))
        if succeeded > seen:
            return
        mine = max(os.fstat(self._file).st_size, HELD) + 1
        os.ftruncate(self._file, mine)
        try:
            syncfs(self._directory)
        except OSError:
            self._record(succeeded, mine)
            raise
        self._record(mine, failed)

    def _outcomes(self) -> tuple[int, int]:
        data = os.pread(self._file, HELD, 0)
        if len(data) < HELD or data[:TAG] != self._boot_id():
            return 0, 0
        return int.from_bytes(data[TAG : TAG + 8], "big"), int.from_bytes(data[TAG + 8 : HELD], "big")

    def _record(self, succeeded: int, failed: int) -> None:
        # Under the size already set, so that recording never changes it.
        os.pwrite(self._file, self._boot_id() + succeeded.to_bytes(8, "big") + failed.to_bytes(8, "big"), 0)

    def _boot_id(self) -> bytes:
        if not self._boot:
            descriptor = os.open(BOOT_ID, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._boot = os.read(descriptor, TAG)
            finally:
                os.close(descriptor)
        return self._boot


_syncfs: Callable[[int], int] | None = None


def syncfs(descriptor: int) -> None:
    """Put on disk the whole file system that holds `descriptor`. The os module has no syncfs."""
    # Imported here: a process that never leads a crowd does not pay for ctypes.
    import ctypes

    global _syncfs  # noqa: PLW0603 - the C function, looked up once
    if _syncfs is None:
        _syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    if _syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
