"""Writing a cdb that somebody compiles by hand: to a temporary file, whole and on disk before it takes its place."""

from __future__ import annotations

import os

from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MODE = 0o644


def put(path: bytes, blocks: Iterable[bytes]) -> None:
    """Write a new file; it is left where writing fails, as the originals leave theirs. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        for block in blocks:
            write_all(descriptor, block)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
