"""A standing worker: a child of tcpserver that serves one connection after another with programs of ours.

Each connection finds the state of a new process: standard input and output, directory, umask, signals, timers and the
environment are made anew. What cannot be made anew, or should not have changed, is looked at instead: ids, limits, open
descriptors, children. After the first session that leaves a difference, or fails, or has heard a password, the worker
ends and is replaced: what its memory holds is nobody else's to read.

tcpserver keeps a descriptor of the connection until it hears of its end, so as to give it to another worker where this
one dies before it has said anything. So closing ours does not close the connection: it is shut down first.
"""

from __future__ import annotations

import os
import socket

from svtree.multicall import Builtin, perform
from svtree.program import TEMPORARY, Spent
from svtree.system import rlimits
from svtree.system.sockets import receive
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
# What a program of ours exits with after a session as they come: QUIT, or a client that went away without it.
USUAL = frozenset((0, 1))
STREAM = int(socket.SOCK_STREAM)
SIGNALS = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))


def surroundings(descriptor: int) -> tuple[object, ...]:
    """What a session must leave as it was; `descriptor` is any that is open.

    The last of it is the lowest descriptor that is free: what a session leaves open, or closes of ours, changes it.
    """
    free = os.dup(descriptor)
    os.close(free)
    return (
        os.getresuid(),
        os.getresgid(),
        os.getgroups(),
        os.getpgrp(),
        os.getsid(0),
        rlimits.applied(),
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
        self._pid = os.getpid()
        self._nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._directory = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._dispositions = list(map(signal.getsignal, SIGNALS))
        self._before = surroundings(self._nothing)

    def serve(self) -> int:
        """Take connections until tcpserver is gone or this worker has had its time; return the exit code."""
        for served in range(1, SERVES + 1):
            message, descriptors = receive(self._channel, LONGEST, 1)
            if not descriptors:
                break
            # All said, so that the kernel need not be asked.
            with socket.socket(self._family, STREAM, 0, descriptors[0]) as client:
                code, ran = self._session(client, Task.parse(message))
                clean = self._restore(client)
            leaving = not clean or served == SERVES or (ran and code not in USUAL) or isinstance(code, Spent)
            self._channel.send(Report(code, leaving).pack())
            if leaving:
                break
        return 0

    def _session(self, client: socket.socket, task: Task) -> tuple[int, bool]:
        """Serve one connection; return its exit code and whether a program has run."""
        try:
            environ = self._reception.admit(client, task.peer, task.decision, task.crowd, self._pid)
        except Denied:
            return DENIED, False
        except Dropped as drop:
            self._journal.dropped(drop.reason)
            return TEMPORARY, False
        descriptor = client.fileno()
        os.dup2(descriptor, 0)
        os.dup2(descriptor, 1)
        found = self._handler.find()
        return perform(self._handler.argv, environ, found if isinstance(found, Builtin) else None), True

    def _restore(self, client: socket.socket) -> bool:
        """End the connection and make the state of a new process; False where that is not possible."""
        os.dup2(self._nothing, 0)
        os.dup2(self._nothing, 1)
        os.fchdir(self._directory)
        os.umask(self._umask)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(-1)
        if list(map(signal.getsignal, SIGNALS)) != self._dispositions:
            for number, before in zip(SIGNALS, self._dispositions, strict=True):
                signal.signal(number, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if not _childless():
            # A child that goes on may have the connection, and end it when it ends.
            return False
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The client was faster.
            pass
        client.close()
        return surroundings(self._nothing) == self._before


def _childless() -> bool:
    """Whether nothing that a session has started is still running; what has ended is reaped."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return False
        except ChildProcessError:
            return True
