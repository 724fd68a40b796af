"""Where a logger's lines come from, and how none of them is lost or written twice when the logger is killed.

A logger that reads its pipe holds, until it has written them, the only copy of the lines it has read: kill -9 then,
and they are gone. A logger that writes first and reads afterwards doubles them instead. So lines are not read from
the pipe but moved, by splice(2), to the end of a file beside the log (`.unwritten`), and only there taken up:

- splice writes a number of bytes into the file and drops that same number from the pipe, in one system call that
  a signal, SIGKILL too, can only end between the two steps of a whole round, never between write and drop. Where the
  file ends is therefore exactly how far the pipe has been emptied, at every moment.
- The first page of the file is the record: how much of the rest is done with, and how long each receiver (a log's
  `current`, by device and inode) was at that moment. It is written by one pwrite within one page, which SIGKILL
  cannot tear.
- A block is appended to its receivers, then recorded as done. Killed in between, the logger leaves receivers that
  are longer than the record says. Its successor cuts them back to the recorded length and does the block again.

What this is not: a promise about power failure. The record carries the boot's id; after another boot receivers are
never cut, and lines that may have been written are not written again (what a pipe held is gone then, too).

Where standard input is no pipe, or there is no directory to keep the file in, lines are read as the original reads
them (`Direct`).
"""

from __future__ import annotations

import errno
import os

from svtree.formats.record import record

PAGE = 4096
BLOCK = 262_144
# The file is begun anew when it has grown to this; it lives in the page cache.
MOST = 1 << 20
MAGIC = b"svtree unwritten 1"
NAME = b".unwritten"
SPLICE_F_NONBLOCK = 2
# The module `stat` costs a small program a millisecond.
S_IFMT = 0o170000
S_IFIFO = 0o010000


@record
class Receiver:
    """A file that lines go to, as it was when the record was written."""

    device: int
    inode: int
    size: int
    # It gets the line that we are inside of.
    chosen: bool = False


@record
class Position:
    """The record: `done` bytes of the file are in the receivers.

    `inside` is 0 where they end with a line, else what the rest of the line needs to be known about it. `moment` is
    the time that the next line is to have, 0 for any. `length` is how many bytes there are, -1 to go by the file.
    """

    boot: bytes
    done: int
    inside: int
    moment: int
    receivers: tuple[Receiver, ...]
    length: int = -1

    def pack(self) -> bytes:
        """One line of text."""
        each = (b"%d:%d:%d:%d" % (file.device, file.inode, file.size, file.chosen) for file in self.receivers)
        numbers = b"%d:%d:%d:%d" % (self.done, self.inside, self.moment, self.length)
        return b" ".join([MAGIC, self.boot or b"-", numbers, *each, b"\n"])


def parse(page: bytes) -> Position | None:
    """Read a record back; None where there is none."""
    line = page.partition(b" \n")[0]
    if not line.startswith(MAGIC + b" "):
        return None
    try:
        boot, done, *rest = line[len(MAGIC) + 1 :].split(b" ")
        receivers = tuple(_receiver(each) for each in rest)
        count, inside, moment, length = map(int, done.split(b":"))
        return Position(b"" if boot == b"-" else boot, count, inside, moment, receivers, length)
    except (ValueError, TypeError):
        return None


def _receiver(text: bytes) -> Receiver:
    device, inode, size, chosen = map(int, text.split(b":"))
    return Receiver(device, inode, size, chosen == 1)


class Direct:
    """Lines read from a descriptor, held in memory alone until they are written."""

    def __init__(self, source: int) -> None:
        """`source` stays the caller's."""
        self._source = source

    def take(self, most: int = BLOCK) -> bytes | None:
        """Up to `most` bytes; nothing at the end of input; None when there is nothing now."""
        try:
            return os.read(self._source, min(most, 65536))
        except BlockingIOError:
            return None

    def waiting(self) -> bool:
        """Whether there is something to take whatever the source says."""
        return False

    def done(self, count: int, *, inside: int, receivers: tuple[Receiver, ...], moment: int = 0) -> None:
        """So many bytes of those taken are in the receivers."""

    def save(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Give back what was opened."""


class Spool:
    """Lines moved from a pipe into `.unwritten`, and taken from there."""

    def __init__(self, source: int, file: int, name: bytes, directory: int) -> None:
        """`file` is open for reading and writing and becomes ours; it is removed as `name` in `directory` at the end.

        Both `source` and `directory` stay the caller's, who may close the directory.
        """
        self._source = source
        self._file = file
        self._name = name
        self._directory = os.dup(directory)
        self._splices = True
        self._held = b""
        self._receivers: tuple[Receiver, ...] = ()
        self._inside = 0
        self._moment = 0
        self._boot = boot_id()
        # The record names a length, which the file is not to outgrow before there is another record.
        self._measured = False
        self.left: Position | None = parse(os.pread(file, PAGE, 0))
        if self.left is not None and self.left.length >= 0:
            # A logger was killed while it began the file anew.
            os.ftruncate(file, PAGE + self.left.length)
            self._measured = True
        self._end = max(os.fstat(file).st_size, PAGE)
        self._done = self._taken = min(PAGE + self.left.done, self._end) if self.left is not None else self._end

    @property
    def same_boot(self) -> bool:
        """Whether what was left is of this boot, so that sizes in it can be relied on."""
        return self.left is not None and self.left.boot == self._boot

    def unfinished(self) -> int:
        """How many bytes were left to be written when the last logger ended."""
        return self._end - self._done

    def forget(self) -> None:
        """Count what was left as done."""
        self._done = self._taken = self._end

    def take(self, most: int = BLOCK) -> bytes | None:
        """Up to `most` bytes; nothing at the end of input; None when there is nothing now. OSError: nothing happened.

        What was left by a logger that was killed comes first.
        """
        if self._taken == self._end:
            if self._end >= MOST:
                self._begin_anew()
            if self._measured:
                os.ftruncate(self._file, self._end)
                self.save()
            try:
                got = self._move(most)
            except BlockingIOError:
                return None
            if not got:
                return b""
            self._end += got
        data = os.pread(self._file, min(most, self._end - self._taken), self._taken)
        self._taken += len(data)
        return data

    def waiting(self) -> bool:
        """Whether there is something to take whatever the source says."""
        return self._taken < self._end

    def done(self, count: int, *, inside: int, receivers: tuple[Receiver, ...], moment: int = 0) -> None:
        """So many bytes more are in the receivers, which are now as they are here. `save` is to follow."""
        self._done = min(self._done + count, self._end)
        self._inside = inside
        self._receivers = receivers
        self._moment = moment

    def save(self) -> None:
        """Write the record. OSError: it is as it was."""
        self._write(self._done - PAGE, -1)
        self._measured = False

    def close(self) -> None:
        """Give back the file; one in which nothing is left is removed."""
        if self._done == self._end:
            try:
                os.unlink(self._name, dir_fd=self._directory)
            except FileNotFoundError:
                pass
        os.close(self._directory)
        os.close(self._file)

    def _move(self, most: int) -> int:
        if self._splices:
            try:
                # Not blocking, because a signal is waited for by poll, not here.
                return os.splice(self._source, self._file, most, offset_dst=self._end, flags=SPLICE_F_NONBLOCK)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
                # A file system that cannot: SIGKILL between the next two calls loses what was read.
                self._splices = False
        self._held = self._held or os.read(self._source, min(most, 65536))
        written = 0
        while written < len(self._held):
            written += os.pwrite(self._file, self._held[written:], self._end + written)
        self._held = b""
        return written

    def _begin_anew(self) -> None:
        """Move what is not done with to the front; the file is to be cut, then saved. OSError: it is as it was.

        Killed before the record is written, we leave a copy where nobody looks; after that, a record by which our
        successor cuts the file.
        """
        rest = os.pread(self._file, self._end - self._done, self._done)
        if PAGE + len(rest) > self._done:
            return
        os.pwrite(self._file, rest, PAGE)
        self._write(0, len(rest))
        self._measured = True
        self._done = PAGE
        self._end = self._taken = PAGE + len(rest)

    def _write(self, done: int, length: int) -> None:
        position = Position(self._boot, done, self._inside, self._moment, self._receivers, length)
        os.pwrite(self._file, position.pack(), 0)


def spool(source: int, directory: int) -> Spool | None:
    """The spool in `directory`: to move a pipe's lines into, or with lines left in it; None where neither holds.

    OSError where it cannot be opened, or is another's.
    """
    from fcntl import LOCK_EX, LOCK_NB, flock

    piped = is_pipe(source)
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if piped else 0)
    try:
        file = os.open(NAME, flags, 0o600, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        flock(file, LOCK_EX | LOCK_NB)
        return Spool(source, file, NAME, directory)
    except BaseException:
        os.close(file)
        raise


def is_pipe(descriptor: int) -> bool:
    """Whether it is a pipe or FIFO, which is what splice can take from."""
    try:
        return os.fstat(descriptor).st_mode & S_IFMT == S_IFIFO
    except OSError:
        return False


def boot_id() -> bytes:
    """What the kernel calls this boot; empty where it does not say."""
    try:
        descriptor = os.open(b"/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 64).strip()
    finally:
        os.close(descriptor)
