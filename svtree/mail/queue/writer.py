"""Writing a message into the queue: the one place that does, for qmail-queue, for qmail-queued and in-process.

Follows qmail-queue.c. The order is what the queue's safety rests on (qmail's INTERNALS, section 3): the message goes
to mess/N, whose inode number is N; the envelope to intd/N; both, and the name mess/N, are put on disk; only then is
todo/N linked, and when that name is on disk too the message has been accepted. The original trusts the file system to
write names at once; we sync them.

A writer that is killed leaves mess/N, perhaps with intd/N, which qmail-send removes after 36 hours, and at most one
file in pid/. Nothing here takes longer than the caller: qmail-queue's 24-hour limit is the callers' (`LIFETIME`).
"""

from __future__ import annotations

import os
import time
from errno import ENOMEM

from svtree.formats import dates, queuefiles
from svtree.mail.queue import codes, trigger
from svtree.mail.queue.codes import SubmitError
from svtree.mail.queue.sync import syncfs
from svtree.system.streams import write_all

# Must stay below the 36 hours after which qmail-send removes what it takes for abandoned.
LIFETIME = 86400
MODE = 0o644
BUFFER = 65536


class Queue:
    """An open queue directory that this process may write."""

    __slots__ = ("_sequence", "descriptor", "losses", "owner")

    def __init__(self, home: bytes) -> None:
        """`home` is qmail's directory. Raises SubmitError (61, 62) if there is no queue, or none for us."""
        if not os.path.isdir(home):
            raise SubmitError(codes.HOME)
        try:
            self.descriptor = os.open(home + b"/queue", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SubmitError(codes.QUEUE_DIRECTORY) from error
        try:
            self.owner = os.stat(b"pid", dir_fd=self.descriptor).st_uid
        except OSError as error:
            os.close(self.descriptor)
            raise SubmitError(codes.QUEUE_DIRECTORY) from error
        self._sequence = 0
        # How often a sync of everything has failed. What was being written then may be lost, and no later sync says so.
        self.losses = 0

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self.descriptor)

    def temporary(self) -> tuple[bytes, int]:
        """Create a file in pid/: its name and its descriptor. Named after this process, moment and a counter."""
        moment = int(time.time())
        for _ in range(9):
            self._sequence += 1
            name = b"pid/%d.%d.%d" % (os.getpid(), moment, self._sequence)
            try:
                return name, os.open(
                    name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE, dir_fd=self.descriptor
                )
            except FileExistsError:
                continue
            except OSError as error:
                raise SubmitError(codes.PID_FILE) from error
        raise SubmitError(codes.PID_FILE)

    def adopt(self, descriptor: int) -> None:
        """Make a new file what setuid qmail-queue would have made it: the queue owner's, 0644, whatever our umask."""
        os.fchmod(descriptor, MODE)
        if self.owner != os.geteuid():
            os.fchown(descriptor, self.owner, -1)

    def settle(self) -> None:
        """Put everything that has been written into the queue on disk. Raises OSError."""
        try:
            syncfs(self.descriptor)
        except OSError:
            self.losses += 1
            raise

    def sync_names(self, directory: bytes) -> None:
        """Put the names in a directory below queue/ on disk."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Entry:
    """One message on its way in: `write` the message, then `address`, then `commit` — or `abandon`.

    `uid` and `pid` are what todo/N says of the invoker; `invoker` is how the Received line says it. Any method may
    raise SubmitError, after which the message is gone from the queue.
    """

    __slots__ = ("_envelope", "_held", "_losses", "_message", "_preamble", "_queue", "_size", "number")

    def __init__(self, queue: Queue, uid: int, pid: int, invoker: bytes) -> None:
        """Creates mess/N with its Received line."""
        self._queue = queue
        self._envelope = -1
        self._held: list[bytes] = []
        self._size = 0
        self._preamble = queuefiles.preamble(uid, pid)
        self._losses = queue.losses
        name, self._message = queue.temporary()
        at = codes.PID_FILE
        try:
            self.number = os.fstat(self._message).st_ino
            queue.adopt(self._message)
            at = codes.MESSAGE_FILE
            os.link(
                name,
                queuefiles.split("mess", self.number),
                src_dir_fd=queue.descriptor,
                dst_dir_fd=queue.descriptor,
            )
            os.unlink(name, dir_fd=queue.descriptor)
        except OSError as error:
            os.close(self._message)
            _discard(queue, name)
            raise SubmitError(at) from error
        self.write(queuefiles.received(pid, invoker, dates.header(int(time.time()))))

    def write(self, data: bytes) -> None:
        """Add to the message."""
        self._put(data, self._message)

    def address(self, records: bytes) -> None:
        """Add records of the envelope, F first, as `envelope.Reader` gives them."""
        if self._envelope < 0:
            self._flush(self._message)
            self._open_envelope()
        self._put(records, self._envelope)

    def ready(self) -> None:
        """Everything has come: hand the last of it to the kernel."""
        self._flush(self._envelope)

    def commit(self) -> None:
        """Accept this message: on disk, and in todo/, when this returns. One of many is committing.py's."""
        self.ready()
        try:
            self.settle()
        except OSError as error:
            self.abandon()
            raise SubmitError(codes.WRITE) from error
        self.link()
        try:
            self._queue.sync_names(b"todo")
        except OSError as error:
            # It may be seen, even delivered, already: it is not taken back. The sender will send again, and a message
            # that arrives twice is within the promise; one that is lost is not.
            raise SubmitError(codes.WRITE) from error
        finally:
            self.forget()
            trigger.pull(self._queue.descriptor)

    def settle(self) -> None:
        """Put message, envelope and the name mess/N on disk. Raises OSError."""
        os.fsync(self._message)
        os.fsync(self._envelope)
        self._queue.sync_names(os.path.dirname(queuefiles.split("mess", self.number)))

    def abandon(self) -> None:
        """Take the message out of the queue; safe to say after it was committed or abandoned."""
        if self._message < 0:
            return
        message, envelope = self._message, self._envelope
        self._message = self._envelope = -1
        self._held.clear()
        try:
            # No further when one fails: without mess/N its number is free for another message, which would find an
            # intd/N that is not its own.
            if envelope >= 0:
                os.ftruncate(envelope, 0)
                os.unlink(queuefiles.flat("intd", self.number), dir_fd=self._queue.descriptor)
            os.ftruncate(message, 0)
            os.unlink(queuefiles.split("mess", self.number), dir_fd=self._queue.descriptor)
        except OSError:
            return
        finally:
            os.close(message)
            if envelope >= 0:
                os.close(envelope)

    def intact(self) -> None:
        """Raise SubmitError if something was lost while this was written."""
        if self._losses != self._queue.losses:
            self.abandon()
            raise SubmitError(codes.WRITE)

    def link(self) -> None:
        """Make todo/N: from here on qmail-send may see the message."""
        try:
            os.link(
                queuefiles.flat("intd", self.number),
                queuefiles.flat("todo", self.number),
                src_dir_fd=self._queue.descriptor,
                dst_dir_fd=self._queue.descriptor,
            )
        except OSError as error:
            self.abandon()
            raise SubmitError(codes.TODO_LINK) from error

    def forget(self) -> None:
        """Close the files: they are the queue's now."""
        os.close(self._message)
        os.close(self._envelope)
        self._message = self._envelope = -1

    def _open_envelope(self) -> None:
        name = queuefiles.flat("intd", self.number)
        try:
            self._envelope = os.open(
                name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE, dir_fd=self._queue.descriptor
            )
            self._queue.adopt(self._envelope)
        except OSError as error:
            self.abandon()
            raise SubmitError(codes.ENVELOPE_FILE) from error
        self._put(self._preamble, self._envelope)

    def _put(self, data: bytes, descriptor: int) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size >= BUFFER:
            self._flush(descriptor)

    def _flush(self, descriptor: int) -> None:
        if not self._held:
            return
        data = b"".join(self._held)
        self._held.clear()
        self._size = 0
        try:
            write_all(descriptor, data)
        except OSError as error:
            self.abandon()
            raise SubmitError(codes.NO_MEMORY if error.errno == ENOMEM else codes.WRITE) from error


def _discard(queue: Queue, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=queue.descriptor)
    except OSError:
        # qmail-clean removes what stays in pid/ after 36 hours.
        return
