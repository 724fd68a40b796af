"""Whether files are what they were when they were read: by this a process may keep what it has made of them.

One stat a file and one for their directory, for less than a read of one of them costs. What an edit changes whoever
makes it, in place or by rename, is the file's ctime, which nobody can set; a file that comes or goes changes the
directory's. The kernel's stamps are as fine as its ticks, and those of old file systems two seconds: so what had been
changed just before it was read is `settled` only later, and is to be read again until then.
"""

from __future__ import annotations

import os
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# The coarsest stamps there are (FAT's), in seconds.
COARSE = 2.0


class Unchanged:
    """The files of these names in a directory, of which some may be missing, as they are now: make it, then read them.

    `settled` says whether a change from now on will be seen. Where a file cannot be looked at, it is not.
    """

    def __init__(self, directory: bytes, names: Iterable[bytes]) -> None:
        """One stat for each; raises nothing."""
        self._there: list[tuple[bytes, int, int, int, int]] = []
        self.settled = True
        newest = 0
        for path in (directory, *(directory + b"/" + name for name in names)):
            try:
                found = os.stat(path)
            except FileNotFoundError:
                # A link that leads nowhere may lead somewhere tomorrow, without a change here.
                self.settled = self.settled and not os.path.islink(path)
            except OSError:
                self.settled = False
            else:
                self._there.append((path, found.st_ino, found.st_ctime_ns, found.st_size, found.st_dev))
                newest = max(newest, found.st_ctime_ns)
        self.settled = self.settled and newest < (time() - COARSE) * 1e9

    def still(self) -> bool:
        """Whether all are as they were, and what was missing is missing still."""
        try:
            for path, inode, changed, size, device in self._there:
                found = os.stat(path)
                if (
                    found.st_ctime_ns != changed
                    or found.st_ino != inode
                    or found.st_size != size
                    or found.st_dev != device
                ):
                    return False
        except OSError:
            return False
        return bool(self._there)
