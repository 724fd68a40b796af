"""A file in memory that can tell whether its path now leads to another one: what tcpserver reads its rules from."""

from __future__ import annotations

import errno
import mmap
import os
import stat

from svtree.system.streams import read_all

# A mapped file that somebody shortens in place kills its reader with SIGBUS; a copy does not. Rules that do not fit
# into this are made by programs, which write a new file and rename it.
COPIED = 1 << 20


class Mapped:
    """The bytes of the file that stood at `path` when this was made, in `data`."""

    def __init__(self, path: bytes) -> None:
        """Raises OSError where the file cannot be read; an empty one is EINVAL, as mmap(2) has it."""
        self.path = path
        # Without O_NONBLOCK a FIFO in the file's place would hold us up for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            if not found.st_size:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
            self._identity = _identity(found)
            self.data: bytes | mmap.mmap = (
                read_all(descriptor, found.st_size)
                if found.st_size <= COPIED
                else mmap.mmap(descriptor, found.st_size, prot=mmap.PROT_READ)
            )
        finally:
            os.close(descriptor)

    def changed(self) -> bool:
        """Whether the path leads to another file now, to a changed one, or to none; one stat."""
        try:
            return _identity(os.stat(self.path)) != self._identity
        except OSError:
            return True

    def close(self) -> None:
        """Unmap. The bytes are gone then, so nothing may read them any more."""
        if isinstance(self.data, mmap.mmap):
            self.data.close()


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
