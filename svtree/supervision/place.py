"""A service directory as its supervisor holds it: the lock, the two FIFOs, and the files a service is told by.

The directory is held open, and everything is reached through it: a service goes on when its directory is renamed or
the link to it removed, as it does under daemontools, whose supervise has it as its current directory.

In supervise/:
    lock      flock'ed while supervised; holds the line of svtree.formats.identity
    control   FIFO, 0600: svc writes letters
    ok        FIFO, 0600: has a reader while supervised
    status    svtree.formats.status
    report    svtree.supervision.report
    notify    the socket of svtree.supervision.readiness
    logpipe   in a service with a logger: the FIFO between them (svtree.supervision.logpipe)

Messages are those of daemontools 0.76 supervise.c where it has one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import identity
from svtree.program import number
from svtree.system import atomic, fifo, flock
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.formats.identity import Identity

# Nothing a service is told by is longer: a number, a signal's name.
SHORT = 256


class PlaceError(Exception):
    """The directory cannot be supervised now; the text names the file and says why."""

    def __init__(self, what: bytes, error: OSError) -> None:
        """`what` as in "unable to read NAME/supervise/control"."""
        super().__init__(f"{what.decode('utf-8', 'surrogateescape')}: {reason(error)}")


class Place:
    """An open service directory. `name` is how messages call it."""

    __slots__ = ("base", "control", "directory", "lock", "name", "ok")

    def __init__(self, path: bytes, name: bytes) -> None:
        """Open, lock, and make what is missing; PlaceError if that cannot be done."""
        self.name = name
        self.directory = self.lock = self.control = self.ok = -1
        try:
            self._open(path)
        except BaseException:
            self.close()
            raise

    def _open(self, path: bytes) -> None:
        name = self.name
        try:
            self.directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.base = b"/proc/self/fd/%d/" % self.directory
        except OSError as error:
            raise PlaceError(b"unable to chdir to " + name, error) from error
        try:
            # 0711, where the original has 0700: a service that has given up root must reach `notify`.
            os.mkdir(self.base + b"supervise", 0o711)
        except OSError:
            # It is there, or the next line says what is wrong.
            pass
        try:
            self.lock = flock.take(self.base + b"supervise/lock")
        except OSError as error:
            raise PlaceError(b"unable to acquire " + name + b"/supervise/lock", error) from error
        self.control = self._fifo(b"control", fifo.hold)

    def admit(self) -> None:
        """Let svok, svstat and svc find us: the service has a status now. PlaceError if that cannot be done."""
        self.ok = self._fifo(b"ok", fifo.wait_at)

    def _fifo(self, kind: bytes, open_it: Callable[[bytes], int]) -> int:
        path = self.base + b"supervise/" + kind
        try:
            fifo.make(path)
            return open_it(path)
        except OSError as error:
            raise PlaceError(b"unable to read " + self.name + b"/supervise/" + kind, error) from error

    @property
    def held(self) -> bool:
        """Whether it is still open."""
        return self.directory >= 0

    def close(self) -> None:
        """Give up the directory; the next supervisor may have it."""
        # The lock goes last: whoever gets it finds nobody reading the FIFOs.
        for descriptor in (self.control, self.ok, self.lock, self.directory):
            if descriptor >= 0:
                os.close(descriptor)
        self.directory = self.lock = self.control = self.ok = -1

    def identity(self) -> Identity | None:
        """Who ran for the service when its supervisor last wrote it down."""
        try:
            return identity.parse(os.pread(self.lock, identity.SIZE, 0))
        except OSError:
            return None

    def note(self, who: Identity) -> None:
        """Write down who runs. Raises OSError."""
        os.pwrite(self.lock, who.pack(), 0)

    def has(self, name: bytes) -> bool:
        """Whether the service directory holds a file of that name; OSError if that cannot be told."""
        try:
            os.stat(self.base + name)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def may_run(self, name: bytes) -> bool:
        """Whether there is a file of that name that may be run."""
        return os.access(self.base + name, os.X_OK)

    def word(self, name: bytes) -> bytes:
        """The first line of a small file, without white space around it; empty if it cannot be read."""
        try:
            return atomic.read(self.base + name, SHORT).split(b"\n", 1)[0].strip()
        except OSError:
            return b""

    def amount(self, name: bytes) -> int | None:
        """The number in a small file; None if there is none."""
        text = self.word(name)
        return number(text) if text[:1].isdigit() else None
