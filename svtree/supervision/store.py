"""Descriptors that a service has given its supervisor to keep, for its next start: FDSTORE of sd_notify.

They come back as sd_listen_fds(3) has it: from descriptor 3 on, counted in LISTEN_FDS, named in LISTEN_FDNAMES. So a
listening socket outlives its listener, and a restart refuses no connection.
"""

from __future__ import annotations

import os

from svtree.system.descriptors import duplicate

# More than any service listens on; what comes beyond is closed.
MOST = 32
FIRST = 3
# Kept from here on, so that no descriptor in store has the number that another takes in the child.
ABOVE = 64
UNNAMED = b"stored"
LONGEST_NAME = 255


class Store:
    """The descriptors of one service, in the order they came."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        """Nothing yet."""
        self._kept: list[tuple[bytes, int]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, name: bytes, descriptor: int) -> bool:
        """Take a descriptor, which is ours from now on; False if it was not kept: there are too many, or it is here."""
        try:
            here = _file(descriptor)
            if len(self._kept) >= MOST or any(name == other and _file(kept) == here for other, kept in self._kept):
                return False
            self._kept.append((name, duplicate(descriptor, ABOVE)))
            return True
        finally:
            os.close(descriptor)

    def remove(self, name: bytes) -> None:
        """Close those of that name."""
        for other, kept in self._kept:
            if other == name:
                os.close(kept)
        self._kept = [(other, kept) for other, kept in self._kept if other != name]

    def clear(self) -> None:
        """Close them all."""
        for _, kept in self._kept:
            os.close(kept)
        self._kept = []

    def placed(self) -> dict[int, int]:
        """Which descriptor goes to which number in the child."""
        return {FIRST + at: kept for at, (_, kept) in enumerate(self._kept)}

    def variables(self) -> dict[bytes, bytes]:
        """What the child is told, but for LISTEN_PID, which only the child can know."""
        if not self._kept:
            return {}
        names = b":".join(name for name, _ in self._kept)
        return {b"LISTEN_FDS": b"%d" % len(self._kept), b"LISTEN_FDNAMES": names}


def valid_name(name: bytes) -> bytes:
    """A name as sd_notify allows it: printable ASCII, no colon, at most 255 bytes; else the name of the unnamed."""
    printable = name.isascii() and name.decode("ascii", "replace").isprintable()
    return name if name and printable and b":" not in name and len(name) <= LONGEST_NAME else UNNAMED


def _file(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
