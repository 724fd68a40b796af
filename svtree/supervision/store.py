"""Descriptors that a service has given its supervisor to keep, for its next start: FDSTORE of sd_notify.

They come back as sd_listen_fds(3) has it: from descriptor 3 on, counted in LISTEN_FDS, named in LISTEN_FDNAMES. So a
listening socket outlives its listener, and a restart refuses no connection. A supervisor above ours has them too, if
there is one (svtree.supervision.above), so that our own restart refuses none either.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.system.descriptors import duplicate

if TYPE_CHECKING:
    from svtree.supervision.above import Shelf

# More than any service listens on; what comes beyond is closed.
MOST = 32
FIRST = 3
# Kept from here on, so that no descriptor in store has the number that another takes in the child.
ABOVE = 64
UNNAMED = b"stored"
LONGEST_NAME = 255


class Store:
    """The descriptors of one service, in the order they came."""

    __slots__ = ("_kept", "_shelf")

    def __init__(self, shelf: Shelf | None = None) -> None:
        """Nothing yet. On `shelf` is kept, by the supervisor above, whatever is kept here."""
        self._kept: list[tuple[bytes, int]] = []
        self._shelf = shelf

    def __len__(self) -> int:
        return len(self._kept)

    def recover(self) -> None:
        """Take what the supervisor above has kept for us since an earlier time."""
        if self._shelf is not None:
            for name, descriptor in self._shelf.take():
                self._take(name, descriptor, known=True)

    def add(self, name: bytes, descriptor: int) -> bool:
        """Take a descriptor, which is ours from now on; False if it was not kept: there are too many, or it is here."""
        return self._take(name, descriptor, known=False)

    def _take(self, name: bytes, descriptor: int, *, known: bool) -> bool:
        try:
            here = file_of(descriptor)
            if len(self._kept) >= MOST or any(name == other and file_of(kept) == here for other, kept in self._kept):
                return False
            kept = duplicate(descriptor, ABOVE)
            self._kept.append((name, kept))
            if self._shelf is not None:
                self._shelf.keep(name, kept, known=known)
            return True
        finally:
            os.close(descriptor)

    def remove(self, name: bytes) -> None:
        """Close those of that name."""
        if self._shelf is not None:
            self._shelf.drop(name)
        for other, kept in self._kept:
            if other == name:
                os.close(kept)
        self._kept = [(other, kept) for other, kept in self._kept if other != name]

    def clear(self) -> None:
        """Close them all, for good."""
        for name in {name for name, _ in self._kept}:
            self.remove(name)

    def leave(self) -> None:
        """Close ours; what the supervisor above has stays there, for the next of us."""
        if self._shelf is not None:
            for name in {name for name, _ in self._kept}:
                self._shelf.leave(name)
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


def file_of(descriptor: int) -> tuple[int, int]:
    """What tells one open file from another, whatever its number."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
