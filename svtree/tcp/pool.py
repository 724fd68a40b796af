"""tcpserver's side of its standing workers: who is idle, who is busy, who is to be replaced.

A worker is one process with a packet socket to it. A connection goes to it with its task, the report comes back. What
else may happen to a worker, and how it is seen:

- It ends after a report that says so, having served its number or having had a session that left something behind.
- Its chain leads to a foreign program: the exec closes its socket, and it is from then on that connection's process.
- It dies in the middle of a session: its wait status is the session's.
- It dies before the client has heard or lost a byte: the connection is given back, for somebody else to serve. For that
  we keep a descriptor of it until its end is told; ending it for the client is the worker's.
- It dies idle: something is amiss on this machine, and it is replaced a moment later rather than at once.
"""

from __future__ import annotations

import os
import socket
from functools import partial

from svtree.system.errors import reason
from svtree.system.loop import READ
from svtree.system.sockets import send
from svtree.tcp.ends import untouched
from svtree.tcp.task import LONGEST, Report, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from svtree.system.loop import Loop

    class Owner(Protocol):
        """Who gives connections to the pool."""

        def ended(self, pid: int, status: int) -> None:
            """The session of worker `pid` is over; `status` is a wait status."""

        def returned(self, pid: int, client: socket.socket, task: Task) -> None:
            """Worker `pid` has not served this connection; it is the owner's to close."""

        def warn(self, line: bytes) -> None:
            """Something is amiss."""


# How long to wait before replacing a worker that has died without having anything to do, in seconds.
PAUSE = 1.0
# Workers beyond the number that was asked for end when they have not been needed for so many seconds, or twice that.
SPARE = 15.0


class Standing:
    """One worker: its pid, its socket until that is closed, and the connection of its session, if it is in one."""

    __slots__ = ("busy", "channel", "client", "pid", "task", "unread")

    def __init__(self, pid: int, channel: socket.socket) -> None:
        """A worker that has just been forked."""
        self.pid = pid
        self.channel: socket.socket | None = channel
        self.busy = False
        self.client = -1
        self.task: Task | None = None
        # Whether it has died with its task unread.
        self.unread = False

    def let_go(self) -> None:
        """Close the session's connection on our side."""
        if self.client >= 0:
            os.close(self.client)
            self.client = -1


class Pool:
    """Keeps `size` workers standing, and more while there is work for them."""

    def __init__(self, loop: Loop, size: int, start: Callable[[socket.socket], int], owner: Owner) -> None:
        """`start` forks a worker for a channel; `owner` hears what comes of each connection that a worker has taken."""
        self._loop = loop
        self._size = size
        self._start = start
        self._owner = owner
        self._workers: dict[int, Standing] = {}
        self._idle: list[Standing] = []
        self._coming: socket.socket | None = None
        # The fewest that were idle at a time since the last look; None while there are not more than `size`.
        self._spare: int | None = None
        self.busy = 0

    def fill(self) -> None:
        """Start what is missing."""
        for _ in range(self._size - self._standing()):
            if not self._add():
                self._loop.after(PAUSE, self.fill)
                return

    def grow(self, most: int) -> bool:
        """Start one more where there are fewer than `most`; to be said while no connection to give is open here."""
        if not 0 < self._size <= self._standing() < most or not self._add():
            return False
        if self._spare is None:
            self._watch_spare()
        return True

    def _standing(self) -> int:
        return sum(worker.channel is not None for worker in self._workers.values())

    def _add(self) -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._coming = ours
        with theirs:
            try:
                pid = self._start(theirs)
            except OSError as error:
                self._coming = None
                ours.close()
                text = b"tcpserver: warning: unable to fork a worker: " + reason(error).encode()
                self._owner.warn(text + b"\n")
                return False
        self._coming = None
        ours.setblocking(False)
        worker = self._workers[pid] = Standing(pid, ours)
        self._idle.append(worker)
        self._loop.watch(ours.fileno(), READ, partial(self._hear, worker))
        return True

    def _watch_spare(self) -> None:
        self._spare = len(self._idle)
        self._loop.after(SPARE, self._shrink)

    def _shrink(self) -> None:
        """Let go of the workers beyond `size` that have been idle ever since the last look: the first in line."""
        spare, self._spare = self._spare or 0, None
        for worker in self._idle[: max(0, min(spare, self._standing() - self._size))]:
            self._leave(worker, 0.0)
        if self._standing() > self._size > 0:
            self._watch_spare()

    def take(self, client: socket.socket, task: Task) -> int:
        """Have an idle worker serve a connection; its pid, 0 where there is none. Then `client` is the caller's still.

        Where it has been taken it is detached, and ours.
        """
        if not self._idle:
            return 0
        message = task.pack()
        if len(message) > LONGEST:
            return 0
        while self._idle:
            # The one that worked last: its memory is the warmest.
            worker = self._idle.pop()
            if worker.channel is None:
                continue
            try:
                send(worker.channel, message, client.fileno())
            except OSError:
                # Dead already, and its end not yet seen.
                continue
            worker.busy = True
            worker.client = client.detach()
            worker.task = task
            self.busy += 1
            if self._spare is not None:
                self._spare = min(self._spare, len(self._idle))
            return worker.pid
        return 0

    def reaped(self, pid: int, status: int) -> bool:
        """A child has ended: whether it was a worker. Its session, if it was in one, has ended with it."""
        worker = self._workers.get(pid)
        if worker is None:
            return False
        # Its report may be here, unread: the death is seen first when both happen in one turn of the loop.
        if worker.channel is not None:
            self._hear(worker)
        pause = 0.0 if worker.busy or worker.channel is None else PAUSE
        self._leave(worker, pause)
        del self._workers[pid]
        if worker.busy:
            self._lost(worker, status)
        return True

    def _lost(self, worker: Standing, status: int) -> None:
        """A worker has died in its session; where the client has not noticed, it is no session yet."""
        task = worker.task
        if task is None or worker.client < 0:
            self._over(worker, status)
            return
        with socket.socket(fileno=worker.client) as client:
            worker.client = -1
            fresh = os.WIFSIGNALED(status) and (worker.unread or untouched(client))
            if fresh and worker.unread:
                worker.busy = False
                self.busy -= 1
            else:
                self._over(worker, status)
            if fresh:
                self._owner.returned(worker.pid, client, task)

    def all_busy(self) -> bool:
        """Whether there are workers, but none that is idle."""
        return self.busy > 0 and not self._idle

    def drain(self) -> None:
        """Start no more workers, and let go of the idle ones."""
        self._size = 0
        for worker in list(self._idle):
            self._leave(worker, 0.0)

    def close(self) -> None:
        """Let go of the workers: the idle ones end, the others when their session is over.

        A new worker says this too, and for itself as well: holding our end of its channel it would never see its end.
        """
        if self._coming is not None:
            self._coming.close()
        for worker in self._workers.values():
            worker.let_go()
            if worker.channel is not None:
                worker.channel.close()
                worker.channel = None
        self._idle.clear()

    def _hear(self, worker: Standing, _: int = READ) -> None:
        """Take what has come from a worker: a report, or the end."""
        if worker.channel is None:
            return
        try:
            message = worker.channel.recv(64)
        except BlockingIOError:
            return
        except OSError:
            # The kernel's word for an end with something of ours unread.
            message, worker.unread = b"", True
        if not message:
            # Dead, or a foreign program now; which of them will be seen when it is reaped.
            self._leave(worker, 0.0 if worker.busy else PAUSE)
            if not _is_dying(worker.pid):
                worker.let_go()
            return
        try:
            report = Report.parse(message)
        except MemoryError:
            # It has no other way to be told again: the worker ends, and its session with it.
            self._loop.forget(worker.channel.fileno())
            worker.channel.close()
            worker.channel = None
            raise
        if report.leaving:
            self._leave(worker, 0.0)
        else:
            self._idle.append(worker)
        self._over(worker, report.code << 8)

    def _over(self, worker: Standing, status: int) -> None:
        worker.let_go()
        worker.busy = False
        self.busy -= 1
        self._owner.ended(worker.pid, status)

    def _leave(self, worker: Standing, pause: float) -> None:
        """Give a worker nothing more, and have it replaced."""
        if worker.channel is None:
            return
        self._loop.forget(worker.channel.fileno())
        worker.channel.close()
        worker.channel = None
        if worker in self._idle:
            self._idle.remove(worker)
        # Not here: a connection may be open just now, which a worker must not inherit.
        self._loop.after(pause, self.fill)


def _is_dying(pid: int) -> bool:
    """Whether a child of ours has no program any more: it has ended, or does so just now."""
    try:
        os.readlink(b"/proc/%d/exe" % pid)
    except FileNotFoundError:
        return True
    except OSError:
        # Another user's by now: it runs.
        return False
    return False
