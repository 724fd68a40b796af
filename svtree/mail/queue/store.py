"""What qmail-send reads and changes in the queue. Every name is relative to queue/; every method may raise OSError.

Follows INTERNALS, sections 4 and 5, and what qmail-send.c does for each; beyond it, names are synced as well as data,
so that the todo/N of a message never goes before its info/N and its recipients are on disk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import queuefiles
from svtree.mail.queue.sync import syncfs
from svtree.system.streams import read_all, write_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHANNELS = ("local", "remote")
MODE = 0o600
# One address record is at most 1003 bytes and a virtual domain's prefix; this is far beyond.
BLOCK = 65536


class Store:
    """The queue directory, open."""

    def __init__(self, home: bytes) -> None:
        """`home` is qmail's directory."""
        self.descriptor = os.open(home + b"/queue", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self.descriptor)

    def open(self, name: bytes, flags: int = os.O_RDONLY) -> int:
        """Open a file of the queue."""
        return os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, MODE, dir_fd=self.descriptor)

    def read(self, name: bytes) -> bytes:
        """All of a small file."""
        descriptor = self.open(name)
        try:
            return read_all(descriptor)
        finally:
            os.close(descriptor)

    def info(self, number: int) -> tuple[bytes, int] | None:
        """A message's sender and its birth (when info/N was made); None if info/N holds no sender."""
        descriptor = self.open(queuefiles.split("info", number))
        try:
            sender = queuefiles.sender(read_all(descriptor))
            return None if sender is None else (sender, int(os.fstat(descriptor).st_mtime))
        finally:
            os.close(descriptor)

    def status(self, name: bytes) -> os.stat_result | None:
        """The status of a file; None if it is not there."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, name: bytes) -> None:
        """Remove a file that may be gone already."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return

    def create(self, name: bytes, data: bytes) -> int:
        """Make a new file with this in it; its descriptor, to sync and to close."""
        descriptor = self.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(descriptor, data)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def settle(self, files: Iterable[int], names: Iterable[bytes]) -> None:
        """Put these files, and the names in the directories they are in, on disk."""
        for each in files:
            os.fsync(each)
        for directory in {os.path.dirname(each) for each in names}:
            self._sync_directory(directory)

    def settle_all(self) -> None:
        """Put everything on disk: cheaper than `settle` for more than a few."""
        syncfs(self.descriptor)

    def mark(self, name: bytes, position: int, *, settle: bool) -> None:
        """Write D over the T at `position`: this recipient is done."""
        descriptor = self.open(name, os.O_WRONLY)
        try:
            os.pwrite(descriptor, b"D", position)
            if settle:
                os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, name: bytes, text: bytes) -> None:
        """Add to a file, on disk when this returns. If it fails the file is as long as before."""
        descriptor = self.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, text)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if not size:
            self._sync_directory(os.path.dirname(name))

    def postpone(self, name: bytes, due: int) -> None:
        """Write down, as a file's time, when its message is to be tried again."""
        os.utime(name, (due, due), dir_fd=self.descriptor)

    def numbers(self, directory: bytes) -> list[int]:
        """The message numbers in a directory; other names are nobody's business."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            names = os.listdir(descriptor)
        finally:
            os.close(descriptor)
        return [number for number in (queuefiles.number(os.fsencode(name)) for name in names) if number is not None]

    def _sync_directory(self, name: bytes) -> None:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def parts(family: str) -> Iterator[bytes]:
    """The directories that a family of files is divided into."""
    for part in range(queuefiles.SPLIT):
        yield b"%s/%d" % (family.encode(), part)
