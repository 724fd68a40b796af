"""Handing a message to the queue, whichever way leads there.

Follows qmail.c: open, put, from, to, close. The ways, in this order:
- $QMAILQUEUE names a program, or the `qmail-queue` on PATH is not ours: it is run, message on its descriptor 0 and
  envelope on its descriptor 1, and its exit code is the answer;
- this process may write the queue: it does, in-process;
- else over the socket queue/socket, at which qmail-queued listens.
"""

from __future__ import annotations

import os

from svtree.formats import envelope
from svtree.mail import controls
from svtree.mail.queue import codes
from svtree.mail.queue.codes import SubmitError, explain
from svtree.multicall import Foreign, resolve, search
from svtree.system.streams import read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from signal import SIG_IGN, SIGPIPE, signal
    from typing import Protocol

    from svtree.mail.queue.writer import Entry, Queue
    from svtree.program import Environ

    class Carrier(Protocol):
        """One of the ways into the queue. Every method but `abandon` may raise SubmitError; it is then over."""

        def write(self, data: bytes) -> None:
            """Add to the message."""

        def address(self, records: bytes) -> None:
            """Add records of the envelope: F, then T, each with its NUL."""

        def commit(self) -> int:
            """Have the message accepted, on disk; returns the pid to call it by."""

        def abandon(self) -> None:
            """Have the message forgotten."""

else:
    from _signal import SIG_IGN, SIGPIPE, signal

__all__ = ["Submission", "SubmitError", "begin", "carrier", "explain", "preload"]

# Names whose uid the Received line and so the reader of headers knows: qmail-queue.c.
INVOKERS = {b"alias": b"by alias", b"qmaild": b"from network", b"qmails": b"for bounce"}
ORIGINS = {b"alias": b"by alias", b"network": b"from network", b"bounce": b"for bounce"}
# How long a client waits for qmail-queued to come back when nobody keeps its socket, in seconds.
PATIENCE = 10.0


def begin(environ: Environ, origin: bytes | None = None, patience: float = PATIENCE) -> Submission:
    """Start handing in a message. What fails is raised by the submission's `finish`, never here.

    `origin` (b"network", b"bounce", b"alias") is who invokes, where one uid does everything; otherwise the uid says.
    """
    return Submission(environ, origin, patience)


def preload() -> None:
    """Import now what a submission may need: for a parent whose children fork, and may not read our files any more."""
    import ctypes
    import pwd

    from svtree.mail.queue import client, sync, writer

    # Named so that none of them looks unused: each is imported where it is dear and seldom needed.
    _ = (ctypes, pwd, client, sync, writer)


class Submission:
    """A message being handed in: `write` it in pieces, then `finish` or `abandon`."""

    __slots__ = ("_carrier", "_failure")

    def __init__(self, environ: Environ, origin: bytes | None, patience: float) -> None:
        """See `begin`."""
        self._failure: SubmitError | None = None
        self._carrier: Carrier | None = None
        try:
            self._carrier = carrier(environ, origin, patience)
        except SubmitError as error:
            self._failure = error

    def write(self, data: bytes) -> None:
        """Add to the message. Never raises: a failure is kept for `finish`, as qmail.c keeps it."""
        if self._failure is not None or self._carrier is None:
            return
        try:
            self._carrier.write(data)
        except SubmitError as error:
            self._fail(error)

    def finish(self, sender: bytes, recipients: Sequence[bytes]) -> int:
        """Give the envelope and have the message accepted: the queue's process id. Raises SubmitError."""
        if self._failure is None and self._carrier is not None:
            try:
                self._carrier.address(_pack(sender, recipients))
                pid = self._carrier.commit()
                self._carrier = None
                return pid
            except SubmitError as error:
                self._fail(error)
        raise self._failure or SubmitError(codes.BUG)

    def abandon(self) -> None:
        """Have the message forgotten; safe to say at any time."""
        if self._carrier is not None:
            self._carrier.abandon()
            self._carrier = None
        if self._failure is None:
            self._failure = SubmitError(codes.READ)

    def _fail(self, error: SubmitError) -> None:
        self._failure = error
        if self._carrier is not None:
            self._carrier.abandon()
            self._carrier = None


def carrier(environ: Environ, origin: bytes | None, patience: float = PATIENCE, *, ourselves: bool = False) -> Carrier:
    """Choose the way. With `ourselves` no program is run: for qmail-queue, which is that program."""
    if not ourselves:
        named = environ.get(b"QMAILQUEUE")
        if named:
            return Spawned(named, environ)
        found = resolve(b"qmail-queue", environ)
        if isinstance(found, Foreign):
            return Spawned(found.path, environ)
    home = controls.home(environ)
    if writable(home):
        return InProcess(home, origin)
    from svtree.mail.queue.client import ViaSocket

    return ViaSocket(home, origin, patience)


def writable(home: bytes) -> bool:
    """Tell whether this process may write the queue; also True where there is none, so that writing says what is."""
    directory = home + b"/queue/pid"
    if os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        return True
    try:
        os.stat(directory)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def invoker(uid: int, origin: bytes | None, owner: int) -> bytes:
    """How the Received line names who invoked: by `origin` if given, else by the account of `uid`.

    In a tree that one user owns all by himself (`uid` is the queue's `owner`) no account means anything.
    """
    if origin in ORIGINS:
        return ORIGINS[origin]
    if uid != owner:
        import pwd

        try:
            known = INVOKERS.get(os.fsencode(pwd.getpwuid(uid).pw_name))
        except KeyError:
            known = None
        if known is not None:
            return known
    return b"by uid %d" % uid


def service_uids() -> set[int]:
    """The uids of qmail's own accounts that put mail into the queue, of those that this machine has."""
    import pwd

    found = set()
    for name in INVOKERS:
        try:
            found.add(pwd.getpwnam(os.fsdecode(name)).pw_uid)
        except KeyError:
            continue
    return found


class InProcess:
    """This process writes the queue."""

    __slots__ = ("_entry", "_queue")

    def __init__(self, home: bytes, origin: bytes | None) -> None:
        """`home` is qmail's directory."""
        from svtree.mail.queue import writer

        self._queue: Queue = writer.Queue(home)
        uid = os.getuid()
        try:
            self._entry: Entry = writer.Entry(self._queue, uid, os.getpid(), invoker(uid, origin, self._queue.owner))
        except SubmitError:
            self._queue.close()
            raise

    def write(self, data: bytes) -> None:
        """Add to the message."""
        self._entry.write(data)

    def address(self, records: bytes) -> None:
        """Add records of the envelope."""
        self._entry.address(records)

    def commit(self) -> int:
        """Have the message accepted."""
        self._entry.commit()
        self._queue.close()
        return os.getpid()

    def abandon(self) -> None:
        """Have the message forgotten."""
        self._entry.abandon()
        self._queue.close()


class Spawned:
    """Another qmail-queue takes the message: descriptor 0 is the message, 1 the envelope, 6 (notqmail) its own text."""

    __slots__ = ("_envelope", "_error", "_message", "_pid", "_previous")

    def __init__(self, program: bytes, environ: Environ) -> None:
        """Start `program` in qmail's directory; without a slash it is looked for in $PATH."""
        home = controls.home(environ)
        path = program if b"/" in program else search(program, environ)
        if path is not None and not path.startswith(b"/"):
            path = os.path.join(home, path)
        pipes = []
        try:
            pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
            self._pid = _spawn_in(home, path or program, environ, {0: pipes[0][0], 1: pipes[1][0], 6: pipes[2][1]})
        except OSError as error:
            for pipe in pipes:
                os.close(pipe[0])
                os.close(pipe[1])
            raise SubmitError(codes.CANNOT_RUN) from error
        os.close(pipes[0][0])
        os.close(pipes[1][0])
        os.close(pipes[2][1])
        self._message, self._envelope, self._error = pipes[0][1], pipes[1][1], pipes[2][0]
        # A qmail-queue that exits before it has read everything must be heard, not die for.
        self._previous = signal(SIGPIPE, SIG_IGN)

    def write(self, data: bytes) -> None:
        """Add to the message."""
        try:
            write_all(self._message, data)
        except OSError as error:
            self._settle(error)

    def address(self, records: bytes) -> None:
        """End the message, if it has not ended, and add records of the envelope."""
        if self._message >= 0:
            os.close(self._message)
            self._message = -1
        try:
            write_all(self._envelope, records)
        except OSError as error:
            self._settle(error)

    def commit(self) -> int:
        """End the envelope and wait for the exit code."""
        try:
            write_all(self._envelope, b"\0")
        except OSError as error:
            self._settle(error)
        code, text = self._end()
        if code:
            raise SubmitError(code, text)
        return self._pid

    def abandon(self) -> None:
        """Let it see the end of its input without an envelope: it forgets the message."""
        if self._error >= 0:
            self._end()

    def _settle(self, cause: OSError) -> None:
        code, text = self._end()
        raise SubmitError(code or codes.READ, text) from cause

    def _end(self) -> tuple[int, str]:
        for descriptor in (self._message, self._envelope):
            if descriptor >= 0:
                os.close(descriptor)
        self._message = self._envelope = -1
        said = read_all(self._error, 255)[:255]
        os.close(self._error)
        self._error = -1
        _, status = os.waitpid(self._pid, 0)
        signal(SIGPIPE, self._previous)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return codes.CRASHED, codes.CRASH_TEXT
        return code, said.decode("utf-8", "replace") if code == codes.CUSTOM and len(said) > 2 else ""


def _pack(sender: bytes, recipients: Sequence[bytes]) -> bytes:
    try:
        return envelope.pack(sender, recipients)[:-1]
    except envelope.TooLongError as error:
        raise SubmitError(codes.TOO_LONG) from error
    except envelope.EnvelopeError as error:
        raise SubmitError(codes.BAD_ENVELOPE) from error


def _spawn_in(home: bytes, path: bytes, environ: Environ, descriptors: dict[int, int]) -> int:
    """Spawn with qmail's directory as current directory; posix_spawn cannot change it, so we go there and back."""
    from svtree.system.descriptors import duplicate
    from svtree.system.spawn import spawn

    sources = {target: duplicate(source, 10) for target, source in descriptors.items()}
    back = os.open(b".", os.O_PATH | os.O_CLOEXEC)
    try:
        os.chdir(home)
        try:
            return spawn(path, [os.path.basename(path)], environ, descriptors=sources)
        finally:
            os.fchdir(back)
    finally:
        os.close(back)
        for source in sources.values():
            os.close(source)
