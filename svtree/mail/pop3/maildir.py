"""A Maildir as a POP3 session sees it: what is there at its beginning, and what becomes of it at its end.

Follows maildir.c and qmail-pop3d.c; cr.yp.to/proto/maildir.html. Other programs deliver into it and remove from it
meanwhile; nothing is locked. A message that is gone when it is asked for is one that cannot be opened.
"""

from __future__ import annotations

import os
import stat

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A delivery that has not ended after so many seconds never will: 36 hours.
STALE = 129600


@record
class Stored:
    """A message in new/ or cur/: its path, its size in bytes, and when it was written, in nanoseconds."""

    path: bytes
    size: int
    written: int

    @property
    def unique(self) -> bytes:
        """The file's name without its flags, which is the same wherever the message moves to."""
        return os.path.basename(self.path).partition(b":")[0]


def scan(maildir: bytes) -> list[Stored]:
    """All messages, oldest first. Raises OSError if there is no reading new/ or cur/.

    qmail-pop3d leaves out what was written in the present second, since two such files might change places. In order
    of nanoseconds they do not, so nothing is left out, and mail is there when the log says that it is.
    """
    return _in_order([*_read(maildir + b"/new"), *_read(maildir + b"/cur")])


def new(maildir: bytes) -> list[Stored]:
    """The messages that no mail reader has seen, oldest first. Raises OSError if there is no reading new/."""
    return _in_order(list(_read(maildir + b"/new")))


def clean(maildir: bytes, now: float) -> None:
    """Remove from tmp/ what nobody has touched for 36 hours; trouble there is no reason not to read mail."""
    try:
        entries = list(os.scandir(maildir + b"/tmp"))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.name[:1] != b"." and now > entry.stat().st_atime + STALE:
                os.unlink(entry.path)
        except OSError:
            continue


def update(messages: Sequence[Stored], deleted: frozenset[int]) -> int:
    """Remove messages by index; each other one that is in new/ goes to cur/. Returns how many were not removed."""
    failures = 0
    for index, message in enumerate(messages):
        folder, name = os.path.split(message.path)
        try:
            if index in deleted:
                os.unlink(message.path)
            elif folder.endswith(b"/new"):
                os.rename(message.path, os.path.dirname(folder) + b"/cur/" + name + b":2,")
        except OSError:
            # A message that stays in new/ is seen there again the next time.
            failures += index in deleted
    return failures


def _in_order(messages: list[Stored]) -> list[Stored]:
    return sorted(messages, key=lambda each: (each.written, each.unique))


def _read(folder: bytes) -> Iterator[Stored]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[:1] == b".":
                continue
            try:
                found = entry.stat()
            except OSError:
                # Gone since its name was read.
                continue
            if stat.S_ISREG(found.st_mode):
                yield Stored(entry.path, found.st_size, found.st_mtime_ns)
