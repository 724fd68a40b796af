"""What is in the queue: the lists that qmail-qread and qmail-qstat print.

Follows qmail-qread.c and qmail-qstat.sh. The queue changes meanwhile; what goes away between two looks is a warning.
"""

from __future__ import annotations

import os
import stat

from svtree.formats import dates, queuefiles
from svtree.system.atomic import read
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHANNELS = ("local", "remote")
_SHOWN = bytes(code if 32 <= code <= 126 else 95 for code in range(256))


class UnreadableQueueError(Exception):
    """A directory of the queue cannot be read; `path` is relative to queue/."""

    def __init__(self, path: bytes, error: OSError) -> None:
        """The reason is the system's."""
        super().__init__(reason(error))
        self.path = path
        self.reason = reason(error)


def messages() -> Iterator[bytes]:
    """A paragraph for each message that has been preprocessed, in the current directory, which is the queue.

    Raises UnreadableQueueError.
    """
    for part in range(queuefiles.SPLIT):
        folder = b"info/%d" % part
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise UnreadableQueueError(folder, error) from error
        for number in map(queuefiles.number, names):
            if number is not None:
                yield _message(number)


def _message(number: int) -> bytes:
    try:
        size = os.stat(queuefiles.split("mess", number)).st_size
        name = queuefiles.split("info", number)
        born = int(os.stat(name).st_mtime)
        sender = read(name).partition(b"\0")[0][1:]
    except OSError as error:
        return _trouble(number, error)
    when = dates.header(born).removesuffix(b" -0000")
    line = b"%s GMT  #%d  %d  <%s> " % (when, number, size, sender)
    if os.path.exists(queuefiles.flat("bounce", number)):
        line += b" bouncing"
    return line.translate(_SHOWN) + b"\n" + b"".join(_recipients(channel, number) for channel in CHANNELS)


def _recipients(channel: str, number: int) -> bytes:
    try:
        data = read(queuefiles.split(channel, number))
    except FileNotFoundError:
        return b""
    except OSError as error:
        return _trouble(number, error)
    marks = {b"T": b"", b"D": b"  done"}
    return b"".join(
        b"%s\t%s\t%s\n" % (marks[each[:1]], channel.encode(), each[1:].translate(_SHOWN))
        for each in data.split(b"\0")[:-1]
        if each[:1] in marks
    )


def _trouble(number: int, error: OSError) -> bytes:
    return b"warning: trouble with #%d: %s\n" % (number, reason(error).encode())


def count(folder: bytes, warn: Callable[[bytes, OSError], None]) -> int:
    """How many regular files are below `folder`; `warn` is told of each directory that cannot be read."""
    found = 0
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        warn(folder, error)
        return 0
    for entry in entries:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except OSError:
            # Delivered since its name was read.
            continue
        if stat.S_ISDIR(mode):
            found += count(entry.path, warn)
        else:
            found += stat.S_ISREG(mode)
    return found
