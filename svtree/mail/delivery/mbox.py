"""Delivery into an mbox: appended under a lock, on disk before success is reported, cut off again on failure.

Follows mbox(5) and qmail-local.c: flock for at most 30 seconds, a From_ line in front, ">" before every line of the
message that would look like one, a blank line behind.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, flock

from svtree.mail.delivery.durable import sync_names
from svtree.mail.delivery.failure import DeliveryError
from svtree.mail.delivery.message import UnreadableError, blocks
from svtree.system.alarm import Alarm, AlarmError
from svtree.system.errors import reason
from svtree.system.streams import write_all

PATIENCE = 30
FROM = b"From "


class FromQuoter:
    """Puts ">" before each line that begins with any number of ">" and "From ", in a text that comes in blocks.

    One more ">" is the same wherever in a row of them it is put, so that no more than "From" is ever held back.
    """

    def __init__(self) -> None:
        """At the beginning of a line."""
        self._held = b""
        # Of the present line, nothing but ">" has been given out; all that has been given out ends with a newline.
        self._undecided = True
        self._whole = True

    def feed(self, block: bytes) -> bytes:
        """What can be written now."""
        data = self._held + block
        first = 0 if self._undecided else 1
        cut = data.rfind(b"\n") + 1
        tail = data[cut:].lstrip(b">")
        self._undecided = (cut > 0 or self._undecided) and len(tail) < len(FROM) and FROM.startswith(tail)
        self._held = tail if self._undecided else b""
        if self._held:
            data = data[: -len(self._held)]
        if data:
            self._whole = data.endswith(b"\n")
        if FROM not in data:
            return data
        lines = data.split(b"\n")
        for number in range(first, len(lines)):
            if lines[number].lstrip(b">").startswith(FROM):
                lines[number] = b">" + lines[number]
        return b"\n".join(lines)

    def end(self) -> bytes:
        """The rest: what was held, the newline that the last line lacks, and the blank line after the message."""
        return self._held + (b"\n" if self._whole and not self._held else b"\n\n")


def deliver(path: bytes, head: bytes, message: int) -> None:
    """Append a message to the mbox `path`, made 0600 if it is not there. Raises DeliveryError.

    `head` is the From_ line and the header lines that come before the message, which stands at its first byte.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise DeliveryError(b"Unable to open %s: %s. (#4.2.1)" % (path, reason(error).encode())) from error
    try:
        locked = _lock(descriptor)
        _append(descriptor, path, head, message, locked=locked)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock the file, or go on without where its file system has no locks; tells which."""
    try:
        with Alarm(PATIENCE):
            flock(descriptor, LOCK_EX)
    except AlarmError as error:
        raise DeliveryError("File has been locked for 30 seconds straight. (#4.3.0)") from error
    except OSError:
        return False
    return True


def _append(descriptor: int, path: bytes, head: bytes, message: int, *, locked: bool) -> None:
    size = 0
    try:
        size = os.fstat(descriptor).st_size
        quoter = FromQuoter()
        for block in blocks(message):
            write_all(descriptor, head + quoter.feed(block))
            head = b""
        write_all(descriptor, head + quoter.end())
        os.fsync(descriptor)
        if size == 0:
            # It may be new, and a synced file without a name is lost.
            sync_names(os.path.dirname(path) or b".")
    except UnreadableError as error:
        _cut(descriptor, size, locked=locked)
        raise DeliveryError(f"Unable to read message: {error}. (#4.3.0)") from error
    except OSError as error:
        _cut(descriptor, size, locked=locked)
        raise DeliveryError(b"Unable to write %s: %s. (#4.3.0)" % (path, reason(error).encode())) from error


def _cut(descriptor: int, size: int, *, locked: bool) -> None:
    """Give the file back its old length; without a lock others may have written after it."""
    if locked:
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            return
