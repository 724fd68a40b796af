"""Files that are the old or the new one, whatever happens: temporary file, fsync, rename, fsync the directory."""

from __future__ import annotations

import os

from svtree.system.streams import read_all, write_all


def write(
    path: bytes,
    data: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    temporary: bytes | None = None,
    durable: bool = True,
) -> None:
    """Make `path` hold `data` with exactly `mode`, through `temporary` (default: beside it, named after this process).

    `owner` is (uid, gid), by default whoever writes. A reader sees the old or the new file. With `durable` the new one
    is on disk when this returns. On failure the temporary file is gone and the old file as it was.
    """
    beside = temporary or path + b".tmp." + str(os.getpid()).encode()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            if owner is not None:
                os.fchown(descriptor, *owner)
            if os.fstat(descriptor).st_mode & 0o7777 != mode:
                # The umask took something away.
                os.fchmod(descriptor, mode)
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(beside, path)
    except BaseException:
        discard(beside)
        raise
    if durable:
        sync_directory(os.path.dirname(path) or b".")


def sync_directory(path: bytes) -> None:
    """Put the names in a directory on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: bytes, limit: int = 1 << 40) -> bytes:
    """Read a whole file, at most `limit` + 1 bytes of it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read_all(descriptor, limit)
    finally:
        os.close(descriptor)


def discard(path: bytes) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
