"""The accept loop: take connections in batches, ask the rules, hand over, count, reap.

The events, their order and their lines are those of tcpserver.c of ucspi-tcp 0.88. One thing differs, and is the point:
a connection that the rules deny by its address alone is closed by tcpserver itself, without a process. Its lines are
the usual ones, with tcpserver's own pid and without names that would have had to be asked for.
"""

from __future__ import annotations

import gc
import os

from svtree.multicall import Builtin
from svtree.program import PERMANENT, TEMPORARY
from svtree.system import farewell
from svtree.system.loop import Loop
from svtree.tcp import connection, ends, shortage
from svtree.tcp.announced import Announcements
from svtree.tcp.entrance import Entrance
from svtree.tcp.foreword import Plain
from svtree.tcp.forking import fork
from svtree.tcp.handover import CannotFork, Handover
from svtree.tcp.limits import NOBODY, Bounds, Rates, place
from svtree.tcp.pool import Pool
from svtree.tcp.reception import Dropped, Reception
from svtree.tcp.sessions import Sessions
from svtree.tcp.task import Task
from svtree.tcp.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket

    from svtree.formats.rules import Decision
    from svtree.tcp.connection import Peer
    from svtree.tcp.ends import Address
    from svtree.tcp.handover import Handler
    from svtree.tcp.journal import Journal
    from svtree.tcp.kept import Kept
    from svtree.tcp.limits import Crowd, Place
    from svtree.tcp.settings import Settings
    from svtree.tcp.tls import Certificates
else:
    # The C module: Python's would turn every number into an enum.
    import _signal as signal


class Server:
    """Serves one listening socket until TERM."""

    def __init__(
        self,
        listener: socket.socket,
        settings: Settings,
        handler: Handler,
        journal: Journal,
        *,
        kept: Kept | None,
        certificates: Certificates | None = None,
    ) -> None:
        """`listener` is non-blocking, and the caller's to close. Opens the loop; `close` gives it and `kept` back."""
        self._certificates = certificates
        self._listener = listener
        self._family = int(listener.family)
        self._kept = kept
        self._settings = settings
        self._journal = journal
        self._loop = Loop()
        self._sessions = Sessions()
        self._rates = Rates()
        self._unbound = settings.bounds == Bounds()
        self._draining = False
        self._reception = Reception(settings, handler.environ, journal)
        self._handler = handler
        self._handover = Handover(handler, self._reception, journal, self._let_go, certificates)
        self._pool = Pool(self._loop, settings.workers, self._start_worker, self)
        self._announcements = Announcements(self._loop, self._announced, self._unannounced)
        self.known_denied = self._reception.known_denied
        self._entrance = Entrance(
            self._loop,
            listener,
            limit=settings.limit,
            pool=self._pool,
            journal=journal,
            owner=self,
        )

    def run(self) -> int:
        """Serve until TERM comes; return the exit code. Sessions go on by themselves. Fatal when the socket breaks."""
        self._loop.on_signal(signal.SIGCHLD, self._reap)
        self._loop.on_signal(signal.SIGTERM, self._terminate)
        # We may have been started with either of them blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD, signal.SIGTERM))
        # The log may be a pipe whose reader goes away; that must not end us.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        # What exists now lives as long as we do: a collection in a child would only touch, and so copy, its pages.
        gc.collect()
        gc.freeze()
        self._have_workers()
        self._journal.tell(self._status())
        self._entrance.look()
        if self._kept is not None:
            self._kept.begin(self._loop)
        shortage.run(self._loop, self._spare, self._catch_up)
        return 0

    def _have_workers(self) -> None:
        """They stand ready for a program of ours only."""
        if isinstance(self._handler.find(), Builtin):
            self._pool.fill()

    def _spare(self) -> None:
        """There is no memory."""
        self._reception.spare()
        self._journal.trouble("out of memory", b"tcpserver: warning: out of memory")

    def _catch_up(self) -> None:
        """After that: what has ended, and has not been seen to end, is over; what is missing is started."""
        self._reap()
        for pid in self._sessions.lost():
            self.ended(pid, TEMPORARY << 8)
        self._have_workers()
        self._entrance.rested()

    def close(self) -> None:
        """Give back the loop, and the connections to workers, supervisor and proxies that have not said a word."""
        self._loop.close()
        self._announcements.close()
        self._pool.close()
        if self._kept is not None:
            self._kept.close()

    def _let_go(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self.close()
        self._listener.close()

    def _start_worker(self, channel: socket.socket) -> int:
        def serve() -> int:
            farewell.expect_shutdown()
            return Worker(channel, self._handler, self._reception, self._journal, self._family).serve()

        return fork(self._let_go, serve)

    def _terminate(self) -> None:
        """TERM: stop, and, when that is wanted, wait for the sessions first; a second one ends that."""
        if self._draining or not self._settings.drain or not self.count():
            self._loop.stop()
            return
        self._draining = True
        self._entrance.close()
        self._pool.drain()
        self._loop.after(self._settings.drain, self._loop.stop)

    def count(self) -> int:
        """How many connections are open."""
        return len(self._sessions) + len(self._announcements)

    def _status(self) -> bytes:
        return connection.status(self.count(), self._settings.limit)

    def entered(self, client: socket.socket, address: Address) -> None:
        """A client has come, or a proxy, who is to say for whom it comes."""
        peer = self._peer(client, address)
        if peer.credentials is None and self._reception.proxied(peer):
            self._announcements.expect(client, peer)
        else:
            self._receive_if_possible(client, peer)

    def _announced(self, client: socket.socket, peer: Peer) -> None:
        """A proxy has said for whom it comes; or that it comes for itself."""
        self._receive_if_possible(client, peer)
        self._moved_on()

    def _unannounced(self, proxy: Peer, why: bytes) -> None:
        """A proxy has not said for whom it comes."""
        status = connection.status(self.count() + 1, self._settings.limit)
        self._journal.tell(status, connection.arrival(os.getpid(), proxy))
        self._dropped(Dropped(b"no PROXY header from " + proxy.ip + b": " + why))
        self._moved_on()

    def _moved_on(self) -> None:
        """A connection is not waited for any more, so that there may be room for another, or nothing left to do."""
        if self._draining and not self.count():
            self._loop.stop()
        self._entrance.look()

    def _receive_if_possible(self, client: socket.socket, peer: Peer) -> None:
        try:
            self._receive(client, peer)
        except MemoryError:
            # As where there is no process to be had.
            self._lacking(b"out of memory")

    def _peer(self, client: socket.socket, address: Address) -> Peer:
        if self._settings.unix is None:
            return ends.peer(address)
        return ends.local_peer(client)

    def _receive(self, client: socket.socket, peer: Peer) -> None:
        """Decide about a connection and hand it over, or close it; none is ever forgotten between the two."""
        if self._journal.verbose:
            self._journal.tell(connection.status(self.count() + 1, self._settings.limit))
        try:
            decision = self._decide(client, peer)
            if decision is not None and decision.deny:
                self._deny(client, peer)
                return
            here = None if peer.credentials else place(peer.ip)
            crowd = NOBODY if here is None else self._sessions.census.crowd(here)
            why = self._refused(here, crowd, decision)
            if why is not None:
                self._refuse(client, peer, decision, why)
                return
            if self._certificates is not None:
                self._refresh(self._certificates)
            pid = self._pool.take(client, Task(peer, decision, crowd))
            if not pid:
                pid = self._handover.give(client, peer, decision, crowd)
            self._sessions.begin(pid, here)
        except CannotFork as failure:
            self._lacking(failure.reason)
        except Dropped as drop:
            self._dropped(drop)

    def _dropped(self, drop: Dropped) -> None:
        # In the original the connection's process, which has told of its arrival, says this and exits.
        self._journal.dropped(drop.reason)
        self._journal.tell(connection.end(os.getpid(), TEMPORARY << 8), self._status())

    def _lacking(self, why: bytes) -> None:
        """A connection is lost because the machine has nothing left for it; let it recover."""
        self._journal.trouble(why.decode("latin-1"), connection.dropping(why)[:-1])
        self._journal.tell(self._status())
        self._entrance.rest()

    def _refused(self, here: Place | None, crowd: Crowd, decision: Decision | None) -> bytes | None:
        """The limit that forbids this connection. Without a decision that of a rule is looked at by its process."""
        bounds = self._settings.bounds if decision is None else self._reception.bounds(decision)
        if here is None or (self._unbound and bounds is self._settings.bounds):
            return None
        load = 0.0 if bounds.load is None else os.getloadavg()[0]
        return bounds.exceeded(crowd, load) or self._rates.exceeded(here, bounds, self._loop.clock.monotonic())

    def _refuse(self, client: socket.socket, peer: Peer, decision: Decision | None, why: bytes) -> None:
        """Close a connection that is one too many, with a word if there is one for that; it has cost no process."""
        pid = os.getpid()
        bounds = self._settings.bounds if decision is None else self._reception.bounds(decision)
        self._journal.tell(connection.arrival(pid, peer))
        Plain(client).turn_away(bounds.message or b"")
        if self._journal.verbose:
            denied = connection.verdict(b"deny", pid, self._reception.presume(client, peer), why)
            self._journal.tell(denied, connection.end(pid, PERMANENT << 8), self._status())

    def returned(self, pid: int, client: socket.socket, task: Task) -> None:
        """A worker has died before its client could notice: a process of its own serves it, which dies for itself."""
        if pid in self._sessions:
            self._sessions.end(pid)
        else:
            # Told of as over: so it comes anew.
            self._journal.tell(connection.status(self.count() + 1, self._settings.limit))
        peer = task.peer
        here = None if peer.credentials else place(peer.ip)
        try:
            self._sessions.begin(self._handover.give(client, peer, task.decision, task.crowd), here)
        except CannotFork as failure:
            self._lacking(failure.reason)
        except Dropped as drop:
            self._dropped(drop)

    def warn(self, line: bytes) -> None:
        """Tell of something that is amiss."""
        self._journal.warn(line)

    def _refresh(self, certificates: Certificates) -> None:
        wrong = certificates.refresh(self._loop.clock.monotonic())
        if wrong is not None:
            self._journal.trouble("certificate", b"tcpserver: warning: " + wrong)

    def _decide(self, client: socket.socket, peer: Peer) -> Decision | None:
        try:
            return self._reception.decide(peer)
        except Dropped:
            self._journal.tell(connection.arrival(os.getpid(), peer))
            # The banner comes before the rules, so that even this client sees it.
            self._reception.greet(client)
            raise

    def _deny(self, client: socket.socket, peer: Peer) -> None:
        """Close a connection that the rules deny; it has cost no process."""
        pid = os.getpid()
        self._journal.tell(connection.arrival(pid, peer))
        if self._settings.banner:
            self._reception.greet(client)
        if self._journal.verbose:
            known = self._reception.presume(client, peer)
            denied = connection.verdict(b"deny", pid, known)
            self._journal.tell(denied, connection.end(pid, PERMANENT << 8), self._status())

    def _reap(self) -> None:
        """Take the exit statuses of sessions that are over."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if self._pool.reaped(pid, status):
                continue
            # A child that is none of ours was started by whoever became us by exec.
            if pid in self._sessions:
                self.ended(pid, status)
        self._entrance.look()

    def ended(self, pid: int, status: int) -> None:
        """A session is over, and counted no more."""
        self._sessions.end(pid)
        if self._journal.verbose:
            self._journal.tell(connection.end(pid, status), self._status())
        if not self._pool.all_busy():
            self._entrance.worker_idle()
        self._moved_on()
