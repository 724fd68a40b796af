"""Named pipes that have one owner, who keeps them open at both ends."""

from __future__ import annotations

import errno
import os
import stat


def make(path: bytes, mode: int = 0o600) -> None:
    """Make a FIFO with exactly `mode`; one that is there keeps the mode and owner that somebody may have given it.

    Raises FileExistsError where something else has the name.
    """
    try:
        os.mkfifo(path, mode)
    except FileExistsError:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            raise
        return
    if stat.S_IMODE(os.stat(path).st_mode) != mode:
        # The umask took something away.
        os.chmod(path, mode)


def hold(path: bytes) -> int:
    """Open a FIFO for reading and writing, so that neither a last writer nor a last reader is ever missing."""
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def wait_at(path: bytes) -> int:
    """Open a FIFO for reading alone; to writers it then has a reader. Nothing need ever be read."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def take(descriptor: int, size: int = 4096) -> bytes:
    """Read what is there now, at most `size` bytes; nothing if nothing is."""
    try:
        return os.read(descriptor, size)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return b""
        raise


def unread(descriptor: int) -> int:
    """How many bytes wait to be read."""
    from fcntl import ioctl
    from termios import FIONREAD

    return int.from_bytes(ioctl(descriptor, FIONREAD, bytes(4)), "little")
