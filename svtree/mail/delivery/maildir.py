"""Delivery into a Maildir: the message is whole and on disk, name and all, or it is not there.

Follows maildir(5) and qmail-local.c, and goes one step beyond: new/ is synced before success is reported, since the
message is removed from the queue after that, and a crash must find it in one of the two.
"""

from __future__ import annotations

import errno
import os
from itertools import count

from svtree.mail.delivery.durable import sync_names
from svtree.mail.delivery.failure import DeliveryError
from svtree.mail.delivery.message import UnreadableError, blocks
from svtree.system.alarm import Alarm, AlarmError
from svtree.system.errors import is_temporary
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# A file system may hang for a day; after that, what cleans tmp/ (files of 36 hours) must not meet us still writing.
PATIENCE = 86400
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

_serial = count(1)


def deliver(folder: bytes, head: bytes, message: int, *, now: int) -> None:
    """Store `head` and the message into the Maildir `folder` (a path, final slash or not). Raises DeliveryError.

    `message` stands at its first byte; `now` is in seconds since 1970.
    """
    try:
        with Alarm(PATIENCE):
            try:
                # The rights that chdir would need; everything after it is one kind of trouble.
                os.stat(folder + b"/.")
            except OSError as error:
                if not is_temporary(error):
                    raise DeliveryError("Unable to chdir to maildir. (#4.2.1)") from error
                raise
            _store(folder, head, message, now)
    except UnreadableError as error:
        raise DeliveryError("Unable to read message. (#4.3.0)") from error
    except AlarmError as error:
        raise DeliveryError("Timeout on maildir delivery. (#4.3.0)") from error
    except OSError as error:
        raise DeliveryError("Temporary error on maildir delivery. (#4.3.0)") from error


def names(now: int, pid: int) -> Iterator[bytes]:
    """Unique names for messages, TIME.PID.HOST; from this process's second delivery on, TIME.PID_N.HOST."""
    # What a host may be called, but a file or its flags may not.
    host = os.fsencode(os.uname().nodename)[:64].replace(b"/", b"\\057").replace(b":", b"\\072")
    while True:
        serial = next(_serial)
        yield b"%d.%d.%s" % (now, pid, host) if serial == 1 else b"%d.%d_%d.%s" % (now, pid, serial, host)


def _store(folder: bytes, head: bytes, message: int, now: int) -> None:
    unique = names(now, os.getpid())
    descriptor, temporary = _create(folder, unique)
    try:
        try:
            for block in blocks(message):
                write_all(descriptor, head + block if head else block)
                head = b""
            write_all(descriptor, head)
            os.fsync(descriptor)
        finally:
            # On NFS the last write fails here, so a failure to close counts.
            os.close(descriptor)
        _publish(folder, temporary, unique)
    finally:
        _forget(temporary)


def _create(folder: bytes, unique: Iterator[bytes]) -> tuple[int, bytes]:
    """A new file in tmp/: its descriptor and path."""
    for _ in range(3):
        path = folder + b"/tmp/" + next(unique)
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path
        except FileExistsError:
            # Another host or pid namespace by our names.
            continue
    raise FileExistsError(errno.EEXIST, "file exists", path)


def _publish(folder: bytes, temporary: bytes, unique: Iterator[bytes]) -> None:
    """Give the file its name in new/, and that name to the disk. link, as rename would replace somebody's message."""
    new = folder + b"/new"
    path = new + b"/" + os.path.basename(temporary)
    try:
        _link(temporary, path)
    except FileExistsError:
        path = new + b"/" + next(unique)
        _link(temporary, path)
    try:
        sync_names(new)
    except OSError:
        # It will be delivered again: this copy must not stay, unless a reader has taken it already.
        _forget(path)
        raise


def _link(source: bytes, target: bytes) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.rename(source, target)


def _forget(path: bytes) -> None:
    """Remove a file; one that cannot be removed is left to whoever cleans tmp/."""
    try:
        os.unlink(path)
    except OSError:
        return
