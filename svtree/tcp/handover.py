"""Giving an accepted connection to its handler, in the cheapest way that the handler allows.

- A foreign program about which nothing is left to find out is started by vfork: that costs the same however large we
  are. The price: its first words on standard error may come before our `pid` and `ok` lines, since it runs already.
- A program of ours runs in a forked child, which has it loaded; no exec.
- Everything else runs in a forked child that execs it: the child first asks name servers and the like.
"""

from __future__ import annotations

import errno
import os
from time import monotonic

from svtree.multicall import DEFAULT_PATH, Builtin, Foreign, become, resolve
from svtree.program import TEMPORARY
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes
from svtree.system.spawn import spawn
from svtree.tcp.connection import arrival, verdict
from svtree.tcp.forking import fork, put_at_standard
from svtree.tcp.limits import NOBODY
from svtree.tcp.reception import Denied, Dropped

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import NoReturn

    from svtree.formats.rules import Decision
    from svtree.program import Environ
    from svtree.tcp.connection import Peer
    from svtree.tcp.journal import Journal
    from svtree.tcp.limits import Crowd
    from svtree.tcp.reception import Reception
    from svtree.tcp.tls import Certificates

DENIED = 100
# How long it is believed that a name on PATH still leads to the same program, in seconds.
BELIEVED = 1.0
# No process can be had now; later there may be one.
SHORTAGE = frozenset((errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE))
# Errors after which execvp goes on to the next directory.
NEXT = frozenset((errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOENT, errno.ENOTDIR))


class CannotFork(Exception):  # noqa: N818 - the log's word
    """There is no process to be had; `reason` says why."""

    def __init__(self, error: OSError) -> None:
        """From what the system call raised."""
        super().__init__(str(error))
        self.reason = b"unable to fork: " + reason(error).encode()


class Handler:
    """The program that serves connections: its words, and what its name leads to just now."""

    def __init__(self, argv: tuple[bytes, ...], environ: Environ) -> None:
        """It is looked for in the PATH of `environ`, which is tcpserver's own."""
        self.argv = argv
        self.environ = environ
        self._found: Builtin | Foreign | None = None
        self._until = 0.0

    def find(self) -> Builtin | Foreign | None:
        """What the name leads to, as of a second ago at most; a program may be replaced while we run."""
        now = monotonic()
        if self._found is None or now >= self._until:
            self._found = resolve(self.argv[0], self.environ)
            self._until = now + BELIEVED
        return self._found

    def forget(self) -> None:
        """Look anew at the next connection."""
        self._found = None

    def execute(self, environ: Environ) -> NoReturn:
        """Become this program by exec, as pathexec_run does it; OSError where that is not possible."""
        name = self.argv[0]
        if b"/" in name:
            os.execve(name, self.argv, environ)
        failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        for directory in self.environ.get(b"PATH", DEFAULT_PATH).split(b":"):
            try:
                os.execve((directory or b".") + b"/" + name, self.argv, environ)
            except OSError as error:
                if error.errno not in NEXT:
                    raise
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    failure = error
        raise failure


class Handover:
    """Starts a process for each connection."""

    def __init__(
        self,
        handler: Handler,
        reception: Reception,
        journal: Journal,
        let_go: Callable[[], None],
        certificates: Certificates | None = None,
    ) -> None:
        """`let_go` is called in a forked child: it closes what is the parent's alone and restores its signals.

        With `certificates` connections are TLS, and there is a pump between each and its handler.
        """
        self._certificates = certificates
        self._handler = handler
        self._reception = reception
        self._journal = journal
        self._let_go = let_go

    def give(self, client: socket.socket, peer: Peer, decision: Decision | None, crowd: Crowd = NOBODY) -> int:
        """Start the handler; return its pid. The caller closes its `client`.

        Raises CannotFork, or Dropped when the connection's arrival has been told.
        """
        found = self._handler.find()
        if isinstance(found, Foreign) and decision is not None and not self._reception.takes_time(decision):
            return self._spawn(found.path, client, peer, decision)

        def body() -> int:
            try:
                environ = self._reception.admit(client, peer, decision, crowd, os.getpid())
                if self._certificates is not None:
                    return self._serve_by_tls(client, self._certificates, environ, found)
                put_at_standard(client.detach())
                self._become(environ, found)
            except Denied:
                return DENIED
            except Dropped as drop:
                self._journal.dropped(drop.reason)
                return TEMPORARY

        try:
            return fork(self._let_go, body)
        except OSError as error:
            raise CannotFork(error) from error

    def _spawn(self, path: bytes, client: socket.socket, peer: Peer, decision: Decision) -> int:
        try:
            self._reception.greet(client)
            known = self._reception.inquire(client, peer)
        except Dropped:
            self._journal.tell(arrival(os.getpid(), peer))
            raise
        environ = self._reception.environment(known, decision)
        descriptor = client.fileno()
        try:
            pid = spawn(path, self._handler.argv, environ, descriptors={0: descriptor, 1: descriptor})
        except (OSError, ValueError) as error:
            self._handler.forget()
            if isinstance(error, OSError) and error.errno in SHORTAGE:
                raise CannotFork(error) from error
            self._journal.tell(arrival(os.getpid(), peer), verdict(b"ok", os.getpid(), known))
            raise Dropped(self._not_run(error)) from error
        if self._journal.verbose:
            self._journal.tell(arrival(pid, peer), verdict(b"ok", pid, known))
        return pid

    def _become(self, environ: Environ, found: Builtin | Foreign | None) -> NoReturn:
        """In the forked child: be the connection's handler."""
        if isinstance(found, Builtin):
            become(self._handler.argv, environ, found)
        try:
            self._handler.execute(environ)
        except (OSError, ValueError) as error:
            raise Dropped(self._not_run(error)) from error

    def _serve_by_tls(
        self, client: socket.socket, certificates: Certificates, environ: Environ, found: Builtin | Foreign | None
    ) -> int:
        """In the forked child: shake hands, fork the handler, be its pump, and end as it ends."""
        from svtree.tcp import tls
        from svtree.tcp.shaken import serve

        # The handler has SIGPIPE as it should be; here a client that has gone is an error like others.
        ignore_broken_pipes()
        try:
            shaken = certificates.shake(client)
        except tls.TlsError as error:
            raise Dropped(
                b"unable to speak TLS with " + environ.get(b"TCPREMOTEIP", b"?") + b": " + error.reason
            ) from error
        environ.update(certificates.variables(shaken, environ))

        def handler(plain: socket.socket) -> int:
            put_at_standard(plain.detach())
            try:
                self._become(environ, found)
            except Dropped as drop:
                self._journal.dropped(drop.reason)
                return TEMPORARY

        with shaken:
            return serve(shaken, environ, self._reception, handler)

    def _not_run(self, error: OSError | ValueError) -> bytes:
        why = reason(error) if isinstance(error, OSError) else "invalid argument"
        return b"unable to run " + self._handler.argv[0] + b": " + why.encode()
