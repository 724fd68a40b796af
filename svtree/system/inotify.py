"""inotify(7) by itself, for a small program that waits for a file to be renamed into a directory.

watchdog takes 30 ms to import and starts threads; ctypes takes 5, and so is imported here and nowhere at start-up.
"""

from __future__ import annotations

import os
from ctypes import CDLL, c_char_p, c_int, c_uint32, get_errno
from struct import Struct

MOVED_TO = 0x80
EVENT = Struct("iIII")
# The kernel has forgotten some events; what they were about is not known.
OVERFLOW = -1
BLOCK = 65536


class Inotify:
    """Directories that are watched; `descriptor` is readable when something has happened in one."""

    def __init__(self) -> None:
        """Raises OSError where the kernel gives no more of these to this user."""
        libc = CDLL(None, use_errno=True)
        self._add = libc.inotify_add_watch
        self._add.argtypes = (c_int, c_char_p, c_uint32)
        self.descriptor: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.descriptor < 0:
            raise _failure(b"inotify")

    def add(self, directory: bytes, events: int) -> int:
        """Watch a directory for `events`; return its number, the same for every name of it. Raises OSError."""
        number: int = self._add(self.descriptor, directory, events)
        if number < 0:
            raise _failure(directory)
        return number

    def take(self) -> set[int]:
        """The numbers of the directories in which something has happened, OVERFLOW for who knows which."""
        found: set[int] = set()
        try:
            data = os.read(self.descriptor, BLOCK)
        except BlockingIOError:
            return found
        at = 0
        while at < len(data):
            number, _, _, size = EVENT.unpack_from(data, at)
            found.add(number)
            at += EVENT.size + size
        return found

    def close(self) -> None:
        """Watch no more."""
        os.close(self.descriptor)


def _failure(path: bytes) -> OSError:
    number = get_errno()
    return OSError(number, os.strerror(number), path)
