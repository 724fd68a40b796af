"""Waiting until services are up, ready, down or gone, without looking again and again.

A supervisor puts every new status and report into supervise/ by rename, which inotify tells; its own end shows at the
FIFO supervise/ok, whose last reader it is. This holds for daemontools and runit too, so their services can be waited
for as ours can; but only of ours is it known when they are ready.
"""

from __future__ import annotations

import errno
import os
import select
import time

from svtree.formats import status
from svtree.formats.record import record
from svtree.supervision import ask
from svtree.system.errors import reason
from svtree.system.inotify import MOVED_TO, OVERFLOW, Inotify

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.status import Status

UP, READY, DOWN, GONE = b"up", b"ready", b"down", b"gone"
STATES = (UP, READY, DOWN, GONE)
# Letters after which a service that is up means another run than the one before them.
ENDING = frozenset(b"tkiq")
MILLISECONDS = 1000


@record
class _Service:
    """A service that is waited for: its name, our end of its FIFO `ok`, and its status before anything was said."""

    directory: bytes
    ok: int
    before: Status | None


class Waiting:
    """Add services, tell them what they are to do, then `until` they have done it."""

    def __init__(self, state: bytes, letters: bytes) -> None:
        """`state` is one of STATES; `letters` is what the services are going to be told. Raises OSError."""
        self._state = state
        # What is asked for is true of a service before it has obeyed: then only what is new counts.
        self._anew = bool(ENDING & set(letters)) if state in (UP, READY) else b"o" in letters and b"d" not in letters
        self._inotify = Inotify()
        self._left: dict[int, _Service] = {}
        self._watched: dict[int, list[_Service]] = {}
        self.problems: list[bytes] = []

    def add(self, directory: bytes) -> None:
        """Wait for this one too; one without a supervisor is a problem, unless it is to be gone."""
        ok = -1
        try:
            ok = os.open(directory + ask.OK, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            number = self._inotify.add(directory + b"/supervise", MOVED_TO)
        except OSError as error:
            if ok >= 0:
                os.close(ok)
            absent = error.errno in (errno.ENXIO, errno.ENOENT)
            if not (absent and self._state == GONE):
                self._fail(directory, "supervise not running" if error.errno == errno.ENXIO else reason(error))
            return
        service = _Service(directory, ok, _look(directory))
        self._left[ok] = service
        self._watched.setdefault(number, []).append(service)

    def until(self, seconds: float) -> None:
        """Return when all are as they should be, or cannot come to be, or the time is up; `problems` says which."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._inotify.descriptor, select.POLLIN)
        for ok in self._left:
            # Asked for nothing, poll tells of the end of the last reader.
            poll.register(ok, 0)
        self._check(list(self._left.values()))
        while self._left:
            patience = deadline - time.monotonic()
            if patience <= 0:
                break
            for descriptor, _ in poll.poll(patience * MILLISECONDS):
                if descriptor == self._inotify.descriptor:
                    self._changed(self._inotify.take())
                    continue
                poll.unregister(descriptor)
                self._deserted(descriptor)
        for service in self._left.values():
            self.problems.append(b"%s is not %s after %d seconds" % (service.directory, self._state, seconds))

    def close(self) -> None:
        """Give back every descriptor."""
        for services in self._watched.values():
            for service in services:
                os.close(service.ok)
        self._inotify.close()

    def _changed(self, numbers: set[int]) -> None:
        if OVERFLOW in numbers:
            self._check(list(self._left.values()))
        for number in numbers:
            self._check(self._watched.get(number, []))

    def _check(self, services: list[_Service]) -> None:
        for service in services:
            now = _look(service.directory)
            if now is not None and self._is_so(service, now):
                self._left.pop(service.ok, None)

    def _deserted(self, ok: int) -> None:
        """Nobody reads a service's FIFO any more."""
        service = self._left.pop(ok, None)
        if service is not None and self._state != GONE:
            self._fail(service.directory, "supervise not running")

    def _is_so(self, service: _Service, now: Status) -> bool:
        if self._anew and not _is_news(service.before, now, even_without_process=self._state == DOWN):
            return False
        match self._state:
            case b"down":
                return not now.pid and now.want != status.UP
            case b"up":
                return _is_up(now)
            case b"ready":
                return _is_up(now) and _is_ready(service.directory, now)
            case _:
                return False

    def _fail(self, directory: bytes, why: str) -> None:
        self.problems.append(b"unable to wait for " + directory + b": " + why.encode())


def _look(directory: bytes) -> Status | None:
    try:
        return ask.look(directory)
    except (OSError, status.StatusError):
        return None


def _is_news(before: Status | None, now: Status, *, even_without_process: bool) -> bool:
    """Whether another run has begun or ended; a service that had no process was not told to end one."""
    if before is None or not (before.pid or even_without_process):
        return True
    return now.since != before.since


def _is_up(now: Status) -> bool:
    """Whether run is running and nothing has told it to end."""
    return now.pid != 0 and now.phase == status.RUNNING and now.want != status.DOWN and not now.term_sent


def _is_ready(directory: bytes, now: Status) -> bool:
    """Whether the report is about this very run, and says so."""
    from svtree.supervision import report

    said = report.read(directory)
    return said.ready is True and said.since == report.moment(now.since)
