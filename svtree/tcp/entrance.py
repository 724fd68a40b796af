"""Where connections come in: taken from the kernel in batches while there is room, left in its backlog when not."""

from __future__ import annotations

import errno
import os

from svtree.program import Fatal
from svtree.system.errors import reason
from svtree.system.loop import READ
from svtree.system.sockets import accept, connected
from svtree.tcp import shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Protocol

    from svtree.system.loop import Loop, Timer
    from svtree.tcp.ends import Address
    from svtree.tcp.journal import Journal
    from svtree.tcp.pool import Pool

    class Known(Protocol):
        """Says of whom something is known."""

        def __call__(self, shown: str, *, again: bool) -> bool:
            """Whether it is known of the address that accept shows so; `again`: somebody's was asked a moment ago."""

    class Owner(Protocol):
        """Who serves the connections."""

        # Who is denied without a word, so that nobody need see the connection; None where there is always a word.
        known_denied: Known | None

        def count(self) -> int:
            """How many connections are open."""

        def entered(self, client: socket.socket, address: Address) -> None:
            """There is a connection; it is closed when this returns."""


# Connections taken before signals and timers get their turn.
BATCH = 64
# How long a connection waits for one of the standing workers: about what a fork would cost it, in seconds.
GRACE = 0.002
# What accept reports of a client that has gone already, or whom the network has refused; see accept(2).
GONE = frozenset(
    (
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.EPERM,
        errno.EINTR,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOPROTOOPT,
        errno.ENONET,
        errno.EOPNOTSUPP,
    )
)
# What it reports of a socket that will never accept again: somebody who shares it has shut it down.
BROKEN = frozenset((errno.EINVAL, errno.EBADF, errno.ENOTSOCK))


class Entrance:
    """The accepting side of one listening socket.

    It waits for connections while fewer than `limit` are open, the machine lacks nothing, and, where workers stand
    ready, one of them is idle or the next client has waited for `GRACE`.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        *,
        limit: int,
        pool: Pool,
        journal: Journal,
        owner: Owner,
    ) -> None:
        """`listener` is non-blocking; `close` closes it."""
        self._loop = loop
        self._listener = listener
        self._family = int(listener.family)
        self._limit = limit
        self._pool = pool
        self._journal = journal
        self._owner = owner
        self._known_denied = owner.known_denied
        self._closed = False
        self._accepting = False
        self._resting = False
        self._held: Timer | None = None
        self._overflow = False

    def close(self) -> None:
        """Take nobody any more: who comes is refused, or waits for our successor where the supervisor keeps it."""
        self._closed = True
        self.look()
        self._listener.close()

    def look(self) -> None:
        """Accept while there is room and a rest is not needed, else leave clients in the backlog."""
        wanted = self._owner.count() < self._limit and not self._resting and self._held is None and not self._closed
        if wanted and not self._accepting:
            self._loop.watch(self._listener.fileno(), READ, self._accept)
        elif self._accepting and not wanted:
            self._loop.forget(self._listener.fileno())
        self._accepting = wanted

    def rest(self) -> None:
        """The machine lacks something: take nobody for `shortage.REST` seconds."""
        self._resting = True
        self.look()
        self._loop.after(shortage.REST, self.rested)

    def rested(self) -> None:
        """The machine has what it lacked."""
        self._resting = False
        self.look()

    def worker_idle(self) -> None:
        """Nobody has to wait for a worker any longer."""
        if self._held is not None:
            self._held.cancel()
            self._held = None

    def _hold(self) -> None:
        """Leave clients in the backlog until a worker is idle again, for a moment at most."""
        self._held = self._loop.after(GRACE, self._overflows)
        self.look()

    def _overflows(self) -> None:
        """The workers are in for longer sessions: the next connection gets a new one."""
        self._held = None
        self._overflow = True
        self.look()

    def _accept(self, _: int) -> None:
        denied, known_denied, pool, listener = False, self._known_denied, self._pool, self._listener
        for _ in range(BATCH):
            if not self._accepting:
                return
            if pool.all_busy():
                if not self._overflow:
                    self._hold()
                    return
                # Somebody is waiting, and not open here yet.
                pool.grow(self._limit)
            self._overflow = False
            try:
                descriptor, address = accept(listener)
            except BlockingIOError:
                if denied:
                    # Who was turned away comes again, if so, as soon as he runs: better now than after a sleep of ours.
                    os.sched_yield()
                return
            except (OSError, MemoryError) as error:
                if isinstance(error, OSError) and error.errno in GONE:
                    continue
                self._cannot(error)
                return
            try:
                denied = known_denied is not None and known_denied(address[0], again=denied)
                client = None if denied else connected(listener, self._family, descriptor)
            except MemoryError as error:
                os.close(descriptor)
                self._cannot(error)
                return
            if client is None:
                os.close(descriptor)
                continue
            with client:
                self._owner.entered(client, address)
            self.look()

    def _cannot(self, error: OSError | MemoryError) -> None:
        """Our side lacks descriptors or memory; asking again at once would only spin."""
        if isinstance(error, OSError) and error.errno in BROKEN:
            raise Fatal("unable to accept: " + reason(error)) from error
        why = reason(error) if isinstance(error, OSError) else "out of memory"
        self._journal.trouble("accept " + why, b"tcpserver: warning: unable to accept: " + why.encode())
        self.rest()
