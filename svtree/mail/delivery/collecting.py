"""Moving what a Maildir holds into an mbox: a new mbox is written beside the old one, synced, and takes its place.

Follows maildir2mbox.c. Nothing is removed from the Maildir before the new mbox, name and all, is on disk; a crash in
between leaves messages twice, never none. One thing is not the original's: it leaves out what was written in the
present second, since two such files might change places; in order of nanoseconds they do not.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, flock

from svtree.formats import dates
from svtree.mail.delivery.durable import sync_names
from svtree.mail.delivery.mbox import PATIENCE, FromQuoter
from svtree.mail.pop3 import maildir
from svtree.system.alarm import Alarm, AlarmError
from svtree.system.errors import reason
from svtree.system.streams import BLOCK, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.pop3.maildir import Stored

RETURN_PATH = b"Return-Path: <"
# A Return-Path that is longer is none that was delivered with.
LONGEST = 4096


class CollectingError(Exception):
    """Nothing has been moved; `message` is maildir2mbox's, the reason included."""

    def __init__(self, what: bytes, error: OSError | None = None) -> None:
        """`what` could not be done, because of `error`."""
        self.message = what if error is None else what + b": " + reason(error).encode()
        super().__init__(self.message)


def move(folder: bytes, mbox: bytes, temporary: bytes, now: float) -> list[tuple[bytes, bytes]]:
    """Move all messages; those that are in both now, each with the reason. Raises CollectingError.

    `mbox` and `temporary` are relative to the Maildir `folder`, if they are relative.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise CollectingError(b"unable to chdir to " + folder, error) from error
    _refuse_one_file(mbox, temporary)
    maildir.clean(b".", now)
    messages = _scan()
    if not messages:
        return []
    locked = _lock(mbox)
    try:
        _write(messages, mbox, temporary)
        try:
            os.rename(temporary, mbox)
            sync_names(os.path.dirname(mbox) or b".")
        except OSError as error:
            raise CollectingError(b"unable to move " + temporary + b" to " + mbox, error) from error
        return _remove(messages)
    finally:
        os.close(locked)


def _refuse_one_file(mbox: bytes, temporary: bytes) -> None:
    """The original empties the mbox where both are one file."""
    try:
        same = os.path.samefile(mbox, temporary)
    except OSError:
        # What is not there is nobody's mail; what else is wrong is found, and named, when it is opened.
        return
    if same:
        raise CollectingError(b"unable to create " + temporary + b": it is the mbox itself")


def _scan() -> list[Stored]:
    try:
        return maildir.scan(b".")
    except OSError as error:
        part = os.path.basename(os.fsencode(error.filename or b"new"))
        raise CollectingError(b"unable to scan $MAILDIR/" + part, error) from error


def _lock(mbox: bytes) -> int:
    """The mbox, made 0600 if it is not there, locked against a reader, and against another one of us."""
    failed = b"unable to lock " + mbox
    try:
        descriptor = os.open(mbox, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CollectingError(failed, error) from error
    try:
        with Alarm(PATIENCE):
            flock(descriptor, LOCK_EX)
    except AlarmError as error:
        os.close(descriptor)
        raise CollectingError(failed + b": timed out") from error
    except OSError as error:
        os.close(descriptor)
        raise CollectingError(failed, error) from error
    return descriptor


def _write(messages: Sequence[Stored], mbox: bytes, temporary: bytes) -> None:
    """Write the new mbox: the old one, then the messages; on disk when this returns."""
    old = _open(mbox, b"unable to read " + mbox)
    try:
        try:
            new = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CollectingError(b"unable to create " + temporary, error) from error
        target = _Target(new, temporary)
        try:
            while block := _read(old, b"unable to read " + mbox):
                target.write(block)
            for message in messages:
                _copy(message, target)
            target.settle()
        finally:
            os.close(new)
    finally:
        os.close(old)


class _Target:
    """The file that is written, and how to say that it cannot be."""

    def __init__(self, descriptor: int, path: bytes) -> None:
        self._descriptor = descriptor
        self._failed = b"unable to write to " + path

    def write(self, data: bytes) -> None:
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise CollectingError(self._failed, error) from error

    def settle(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise CollectingError(self._failed, error) from error


def _copy(message: Stored, target: _Target) -> None:
    failed = b"unable to read $MAILDIR/" + _shown(message)
    source = _open(message.path, failed)
    try:
        block = _read(source, failed)
        while b"\n" not in block and len(block) < LONGEST and (more := _read(source, failed)):
            block += more
        target.write(b"From %s %s\n" % (_sender(block), dates.mbox(message.written // 10**9)))
        quoter = FromQuoter()
        anything = bool(block)
        while block:
            target.write(quoter.feed(block))
            block = _read(source, failed)
        # An empty message has no last line that could lack its end.
        target.write(quoter.end() if anything else b"\n")
    finally:
        os.close(source)


def _sender(head: bytes) -> bytes:
    """Whom the From_ line names: the address in the Return-Path that a message begins with."""
    line, end, _ = head.partition(b"\n")
    if not end or not line.startswith(RETURN_PATH):
        return b"XXX"
    # All but the last byte, which is the bracket.
    address = line[len(RETURN_PATH) : -1]
    if line[len(RETURN_PATH) :].startswith(b">"):
        return b"MAILER-DAEMON"
    return address.replace(b" ", b"-").replace(b"\t", b"-")


def _remove(messages: Sequence[Stored]) -> list[tuple[bytes, bytes]]:
    left = []
    for message in messages:
        try:
            os.unlink(message.path)
        except OSError as error:
            left.append((_shown(message), reason(error).encode()))
    return left


def _shown(message: Stored) -> bytes:
    return message.path.removeprefix(b"./")


def _open(path: bytes, failed: bytes) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CollectingError(failed, error) from error


def _read(descriptor: int, failed: bytes) -> bytes:
    try:
        return os.read(descriptor, BLOCK)
    except OSError as error:
        raise CollectingError(failed, error) from error
