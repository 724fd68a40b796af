"""A standing worker: a child of tcpserver that serves one connection after another with programs of ours.

Each connection finds the state of a new process: standard input and output, directory, umask, signals, timers and the
environment are made anew. What cannot be made anew, or should not have changed, is looked at instead: ids, limits, open
descriptors, children. After the first session that leaves a difference, or fails, the worker ends and is replaced.
"""

from __future__ import annotations

import os
import resource
import socket

from svtree.formats.record import record
from svtree.multicall import Builtin, perform
from svtree.program import TEMPORARY
from svtree.system.sockets import receive
from svtree.tcp.forking import put_at_standard
from svtree.tcp.reception import Denied, Dropped
from svtree.tcp.task import LONGEST, Report, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from svtree.tcp.handover import Handler
    from svtree.tcp.journal import Journal
    from svtree.tcp.reception import Reception
else:
    # The C module: Python's would turn every number into an enum, for every connection.
    import _signal as signal

DENIED = 100
# Connections that a worker serves before it is replaced: what leaks, leaks no further.
SERVES = 1000
SIGNALS = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


@record
class Surroundings:
    """What a session must leave as it was."""

    ids: tuple[object, ...]
    limits: tuple[tuple[int, int], ...]
    free: int
    """The lowest descriptor number that is free: what a session leaves open, or closes of ours, changes it."""

    @classmethod
    def now(cls, descriptor: int) -> Surroundings:
        """As they are; any open descriptor will do."""
        free = os.dup(descriptor)
        os.close(free)
        return cls(
            (os.getresuid(), os.getresgid(), tuple(os.getgroups()), os.getpgrp(), os.getsid(0)),
            tuple(resource.getrlimit(limit) for limit in LIMITS),
            free,
        )


class Worker:
    """Serves what comes through its channel until that ends."""

    def __init__(
        self, channel: socket.socket, handler: Handler, reception: Reception, journal: Journal, family: int
    ) -> None:
        """To be made in the worker's own process; `channel` is a packet socket to tcpserver, 0 and 1 are idle.

        `family` is that of the connections, such as AF_INET.
        """
        self._family = family
        self._channel = channel
        self._handler = handler
        self._reception = reception
        self._journal = journal
        self._nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._directory = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._dispositions = [signal.getsignal(number) for number in SIGNALS]
        self._before = Surroundings.now(self._nothing)

    def serve(self) -> int:
        """Take connections until tcpserver is gone or this worker has had its time; return the exit code."""
        for served in range(1, SERVES + 1):
            message, descriptors = receive(self._channel, LONGEST, 1)
            if not descriptors:
                break
            client = socket.socket(self._family, socket.SOCK_STREAM, fileno=descriptors[0])
            code, ran = self._session(client, Task.parse(message))
            clean = self._restore()
            leaving = not clean or served == SERVES or (ran and code != 0)
            self._channel.send(Report(code, leaving).pack())
            if leaving:
                break
        return 0

    def _session(self, client: socket.socket, task: Task) -> tuple[int, bool]:
        """Serve one connection; return its exit code and whether a program has run."""
        with client:
            try:
                environ = self._reception.admit(client, task.peer, task.decision, task.crowd, os.getpid())
            except Denied:
                return DENIED, False
            except Dropped as drop:
                self._journal.dropped(drop.reason)
                return TEMPORARY, False
            put_at_standard(client.detach())
        found = self._handler.find()
        return perform(self._handler.argv, environ, found if isinstance(found, Builtin) else None), True

    def _restore(self) -> bool:
        """Close the connection and make the state of a new process; False where that is not possible."""
        os.dup2(self._nothing, 0)
        os.dup2(self._nothing, 1)
        os.fchdir(self._directory)
        os.umask(self._umask)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(-1)
        for number, disposition in zip(SIGNALS, self._dispositions, strict=True):
            if signal.getsignal(number) is not disposition:
                signal.signal(number, disposition)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return _childless() and Surroundings.now(self._nothing) == self._before


def _childless() -> bool:
    """Whether nothing that a session has started is still running; what has ended is reaped."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return False
        except ChildProcessError:
            return True
