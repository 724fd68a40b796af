"""One log directory of multilog: `lock`, `current`, `previous`, `state`, the old logs, and how they turn over.

Follows multilog.c of daemontools 0.76 file by file, mode by mode and text by text. `current` has mode 0644 while it
is written and 0744 once it is complete; an old log is called after the moment it was finished, `.s` when it was
finished safely, `.u` when its logger ended without a word. What cannot be done now (a full disk) is said and tried
again every five seconds, so that nothing is lost: the pipe holds the service back meanwhile.
"""

from __future__ import annotations

import os

from svtree.formats.tai64 import label
from svtree.logs.intake import Receiver
from svtree.logs.pausing import insist, pause
from svtree.program import Fatal
from svtree.system.clock import SYSTEM
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.logscript import Directory
    from svtree.program import Environ

# A log is full when a line ends in its last 2000 bytes.
SLACK = 2000
# "@", 24 digits; what follows it in a name does not count.
OLD_NAME = 25
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
TRUNCATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK


class LogDirectory:
    """A log directory that is locked and, after `begin`, open for appending."""

    def __init__(self, wanted: Directory, environ: Environ) -> None:
        """Make the directory if it is not there, open and lock it. Raises Fatal in the original's words.

        `environ` is the processor's.
        """
        self.path = wanted.path
        self.limit = wanted.size
        self._count = wanted.count
        self._processor = wanted.processor
        self._environ = environ
        self.size = 0
        self._current = -1
        self._identity = (0, 0)
        try:
            os.mkdir(self.path, 0o700)
        except OSError:
            # There already, most of the time; if not, opening it says why.
            pass
        try:
            self.descriptor = os.open(self.path + b"/.", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Fatal(b"unable to open directory " + self.path + b": " + reason(error).encode()) from error
        try:
            from fcntl import LOCK_EX, LOCK_NB, flock

            self._lock = self._open(b"lock", APPEND)
            flock(self._lock, LOCK_EX | LOCK_NB)
        except OSError as error:
            raise Fatal(b"unable to lock directory " + self.path + b": " + reason(error).encode()) from error

    def receiver(self, *, chosen: bool) -> Receiver:
        """What the record says of `current` now."""
        return Receiver(*self._identity, self.size, chosen)

    def roll_back(self, left: tuple[Receiver, ...], most: int) -> Receiver | None:
        """Before `begin`: take back what was written to `current` after the record `left` was made.

        At most `most` bytes, which is all that can have been written; where there is more, somebody else wrote it.
        Returns what the record says of `current`, None if it does not know it.
        """
        status = self._status(b"current")
        if status is None:
            return None
        for each in left:
            if (each.device, each.inode) == (status.st_dev, status.st_ino):
                if each.size < status.st_size <= each.size + most:
                    os.truncate(self._named(b"current"), each.size)
                return each
        return None

    def is_as_recorded(self, left: tuple[Receiver, ...]) -> bool:
        """Before `begin`: whether `current` is a file that the record `left` knows, and as long as it says."""
        status = self._status(b"current")
        return status is not None and any(
            (each.device, each.inode, each.size) == (status.st_dev, status.st_ino, status.st_size) for each in left
        )

    def begin(self) -> None:
        """Go on with a `current` that was finished, or put away one that was not and begin a new one."""
        status = self._status(b"current")
        if status is not None and status.st_mode & 0o100:
            self._begin_current(b"unable to append to ")
            self.size = os.fstat(self._current).st_size
            return
        for name in (b"state", b"newstate"):
            self._discard(name)
        processed = self._status(b"processed")
        if processed is not None and processed.st_mode & 0o100:
            self._discard(b"previous")
            self._finish(b"processed", b"s")
        else:
            self._discard(b"processed")
            self._finish(b"previous", b"u")
        self._finish(b"current", b"u")
        try:
            os.close(self._open(b"state", TRUNCATE))
        except OSError as error:
            raise Fatal(b"unable to write to " + self.path + b"/state: " + reason(error).encode()) from error
        self._begin_current(b"unable to write to ")

    def room(self) -> int:
        """How many bytes `current` may still take."""
        return self.limit - self.size

    def is_full(self) -> bool:
        """Whether `current` turns over at the end of the line that it ends in."""
        return self.size >= self.limit - SLACK

    def append(self, data: bytes | memoryview) -> None:
        """Write all of `data` to `current`, whatever it takes."""
        view = memoryview(data)
        while view:
            try:
                written = os.write(self._current, view)
            except OSError as error:
                pause(b"unable to write to " + self._named(b"current") + b", pausing: " + reason(error).encode())
                continue
            self.size += written
            view = view[written:]

    def rotate(self) -> None:
        """Put `current` away, safe on disk, and begin a new one. Fits the order of the original step by step."""
        at = self.descriptor
        insist(lambda: os.fsync(self._current), b"unable to write " + self._named(b"current") + b" to disk")
        os.close(self._current)
        insist(
            lambda: os.rename(b"current", b"previous", src_dir_fd=at, dst_dir_fd=at),
            b"unable to rename current to previous in directory " + self.path,
        )
        self._current = insist(lambda: self._open(b"current", APPEND), b"unable to create " + self._named(b"current"))
        self._identify()
        self.size = 0
        insist(lambda: os.fchmod(self._current, 0o644), b"unable to set mode of " + self._named(b"current"))
        insist(lambda: os.chmod(b"previous", 0o744, dir_fd=at), b"unable to set mode of " + self._named(b"previous"))
        if self._processor is None:
            self._finish(b"previous", b"s")
        else:
            self._process(self._processor)

    def end(self) -> None:
        """Put `current` on disk and mark it as complete."""
        insist(lambda: os.fsync(self._current), b"unable to write " + self._named(b"current") + b" to disk")
        insist(lambda: os.fchmod(self._current, 0o744), b"unable to set mode of " + self._named(b"current"))

    def close(self) -> None:
        """Give back the descriptors, and with them the lock."""
        for descriptor in (self._current, self._lock, self.descriptor):
            if descriptor >= 0:
                os.close(descriptor)

    def _named(self, name: bytes) -> bytes:
        return self.path + b"/" + name

    def _open(self, name: bytes, flags: int) -> int:
        return os.open(name, flags, 0o600 if flags & os.O_APPEND else 0o644, dir_fd=self.descriptor)

    def _status(self, name: bytes) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Fatal(b"unable to stat " + self._named(name) + b": " + reason(error).encode()) from error

    def _discard(self, name: bytes) -> None:
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except OSError:
            # As in the original: what cannot be removed is met again where it matters.
            return

    def _begin_current(self, complaint: bytes) -> None:
        try:
            self._current = self._open(b"current", APPEND)
        except OSError as error:
            raise Fatal(complaint + self._named(b"current") + b": " + reason(error).encode()) from error
        try:
            os.fchmod(self._current, 0o644)
        except OSError as error:
            raise Fatal(b"unable to set mode of " + self._named(b"current") + b": " + reason(error).encode()) from error
        self._identify()
        self.size = 0

    def _identify(self) -> None:
        status = os.fstat(self._current)
        self._identity = (status.st_dev, status.st_ino)

    def _finish(self, name: bytes, code: bytes) -> None:
        """Give the file its final name, unless it has one already (a crash between link and unlink), and make room."""
        at = self.descriptor
        links = insist(lambda: self._links(name), b"unable to stat " + self._named(name))
        if links is None:
            return
        while links == 1:
            final = label(SYSTEM.wall_ns()) + b"." + code
            try:
                os.link(name, final, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
                break
            except OSError as error:
                pause(b"unable to link to " + self._named(final) + b", pausing: " + reason(error).encode())
        insist(lambda: os.unlink(name, dir_fd=at), b"unable to remove " + self._named(name))
        while insist(self._too_many, b"unable to read " + self.path):
            continue

    def _links(self, name: bytes) -> int | None:
        try:
            return os.stat(name, dir_fd=self.descriptor).st_nlink
        except FileNotFoundError:
            return None

    def _too_many(self) -> bool:
        """Remove the oldest log where there are as many as `n` allows; False when there are fewer."""
        old = [name for name in os.listdir(self.descriptor) if name[:1] == "@" and len(name) >= OLD_NAME]
        if len(old) < self._count:
            return False
        os.unlink(min(old), dir_fd=self.descriptor)
        return True

    def _process(self, processor: bytes) -> None:
        """Let `!processor` make `processed` and `newstate` out of `previous` and `state`."""
        from svtree.logs.processor import run

        run(self.path, self.descriptor, processor, self._environ)
        for name, mode in ((b"processed", 0o744), (b"newstate", None)):
            self._keep(name, mode)
        at = self.descriptor
        insist(lambda: os.unlink(b"previous", dir_fd=at), b"unable to remove " + self._named(b"previous"))
        insist(
            lambda: os.rename(b"newstate", b"state", src_dir_fd=at, dst_dir_fd=at),
            b"unable to rename newstate to state in directory " + self.path,
        )
        self._finish(b"processed", b"s")

    def _keep(self, name: bytes, mode: int | None) -> None:
        """Put a file the processor wrote on disk."""
        shown = self._named(name)
        descriptor = insist(lambda: self._open(name, APPEND), b"unable to create " + shown)
        try:
            insist(lambda: os.fsync(descriptor), b"unable to write " + shown + b" to disk")
            if mode is not None:
                insist(lambda: os.fchmod(descriptor, mode), b"unable to set mode of " + shown)
        finally:
            os.close(descriptor)
