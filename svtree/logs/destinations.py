"""The other side of splogger: a syslog that is there or comes back.

A destination is open or not; what goes wrong closes it and is an OSError, after which `open` may be tried again. A
datagram is somebody else's once it is sent. On a stream nothing is until the other kernel has acknowledged it, so
what was sent since the last moment when nothing was outstanding is kept, and sent again after a reconnection: rather
twice than not at all.
"""

from __future__ import annotations

import os
import select
import time
from abc import ABC, abstractmethod

from svtree.formats import syslog

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from svtree.formats.syslog import Destination
    from svtree.logs.lines import Piece
    from svtree.program import Environ
else:
    # The Python module around it costs a small program 5 ms.
    import _socket as socket

# How long one attempt to connect, or to get rid of one message, may take before it counts as failed.
PATIENCE = 5.0
# How long a peer may take to answer our goodbye.
FAREWELL = 1.0
# Sent and not acknowledged: beyond this, wait.
OUTSTANDING = 262_144
TIOCOUTQ = 0x5411
FLAGS = socket.SOCK_CLOEXEC


class Sender(ABC):
    """What all destinations have in common: one socket, and messages in the destination's form."""

    def __init__(self, where: Destination, tag: bytes, facility: int) -> None:
        """Not open yet."""
        self.where = where
        self._tag = tag
        self._facility = facility
        self._socket: socket.socket | None = None
        self._second = -1
        self._local = (1, 1, 0, 0, 0)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._socket is not None

    @abstractmethod
    def open(self) -> None:
        """Connect; OSError where nobody is there."""

    @abstractmethod
    def send(self, piece: Piece) -> None:
        """Send a message. OSError: it may not have arrived, and the destination is closed."""

    def settled(self) -> bool:
        """Whether all that was sent is in somebody else's hands. OSError: it is not, and the destination is closed."""
        return True

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def local_form(self, piece: Piece) -> bytes:
        """The message as libc's syslog() writes it."""
        second = piece.moment // 1_000_000_000
        if second != self._second:
            self._second = second
            self._local = time.localtime(second)[1:6]
        return syslog.rfc3164(8 * self._facility + piece.severity, self._local, self._tag, piece.text)

    def remote_form(self, piece: Piece) -> bytes:
        """The message for another machine."""
        host = os.fsencode(os.uname().nodename)
        return syslog.rfc5424(8 * self._facility + piece.severity, piece.moment, host, self._tag, piece.text)

    def journal_form(self, piece: Piece) -> bytes:
        """The message for journald."""
        return syslog.journal(8 * self._facility + piece.severity, self._tag, piece.text)


class Datagrams(Sender):
    """A datagram for each message: a Unix socket, UDP, journald."""

    def open(self) -> None:
        """Connect; OSError where nobody is there."""
        if self.where.kind == "udp":
            self._socket = _reach(self.where, socket.SOCK_DGRAM)
        else:
            self._socket = _unix(self.where.name, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, piece: Piece) -> None:
        """Send a message, waiting while the other side has its hands full."""
        data = {"udp": self.remote_form, "journald": self.journal_form}.get(self.where.kind, self.local_form)(piece)
        assert self._socket is not None  # noqa: S101 - it is open
        until = time.monotonic() + PATIENCE
        try:
            while True:
                try:
                    self._socket.send(data)
                    return
                except BlockingIOError:
                    _wait(self._socket, select.POLLOUT, until)
        except OSError:
            self.close()
            raise


class Stream(Sender):
    """Messages one after another on a connection: a Unix socket, TCP, TLS."""

    def __init__(self, where: Destination, tag: bytes, facility: int, environ: Environ) -> None:
        """`environ` may name the authorities that TLS believes, in SVTREE_SYSLOG_CA."""
        super().__init__(where, tag, facility)
        self._authorities = environ.get(b"SVTREE_SYSLOG_CA")
        self._unsettled: list[bytes] = []
        self._size = 0

    def open(self) -> None:
        """Connect, and send again what may not have arrived."""
        if self.where.kind == "unix":
            self._socket = _unix(self.where.name, socket.SOCK_STREAM)
        else:
            self._socket = _reach(self.where, socket.SOCK_STREAM)
        try:
            if self.where.kind == "tls":
                self._socket = self._secured(self._socket)
            self._socket.settimeout(PATIENCE)
            self._socket.sendall(b"".join(self._unsettled))
        except OSError:
            self.close()
            raise

    def send(self, piece: Piece) -> None:
        """Send a message; wait where too much is outstanding."""
        # libc ends a message with a NUL where the socket keeps no boundaries.
        local = self.where.kind == "unix"
        data = self.local_form(piece) + b"\0" if local else syslog.framed(self.remote_form(piece))
        assert self._socket is not None  # noqa: S101 - it is open
        until = time.monotonic() + PATIENCE
        while not self.settled() and self._size > OUTSTANDING:
            if time.monotonic() > until:
                self.close()
                raise TimeoutError(110, os.strerror(110))
            time.sleep(0.01)
        try:
            # A peer that hangs up says so here; written to all the same, the message would be lost in our kernel.
            if select.select([self._socket], [], [], 0)[0] and not self._drained():
                raise BrokenPipeError(32, os.strerror(32))
            self._socket.sendall(data)
        except OSError:
            self.close()
            raise
        self._unsettled.append(data)
        self._size += len(data)

    def settled(self) -> bool:
        """Whether the other kernel has acknowledged everything."""
        if not self._unsettled:
            return True
        if self._socket is None:
            return False
        if _outstanding(self._socket):
            return False
        self._unsettled.clear()
        self._size = 0
        return True

    def close(self) -> None:
        """Hang up, of TLS with the goodbyes that it has: a peer can then tell an end from a line that was cut."""
        if self._socket is not None and self.where.kind == "tls":
            self._part()
        super().close()

    def _part(self) -> None:
        """Send close_notify and read to the peer's, or for as long as it may take.

        What the peer has sent and we have not read, such as the session tickets of TLS 1.3, is read by that too: a
        close over unread data is a reset, which may overtake what we sent last.
        """
        assert self._socket is not None  # noqa: S101 - it is open
        # One whose handshake has not come to its end is no TLS socket yet.
        unwrap = getattr(self._socket, "unwrap", None)
        if unwrap is None:
            return
        try:
            self._socket.settimeout(FAREWELL)
            unwrap()
        except (OSError, ValueError):
            # Gone already, or less polite than we are.
            return

    def _drained(self) -> bool:
        """Throw away what a syslog has no reason to say; False when it has hung up."""
        assert self._socket is not None  # noqa: S101 - it is open
        self._socket.setblocking(False)
        try:
            return self._socket.recv(4096) != b""
        except BlockingIOError:
            return True
        except OSError as error:
            # TLS may have read a record that holds nothing for us.
            if type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError"):
                return True
            raise
        finally:
            self._socket.settimeout(PATIENCE)

    def _secured(self, plain: socket.socket) -> socket.socket:
        import ssl

        context = ssl.create_default_context(cafile=os.fsdecode(self._authorities) if self._authorities else None)
        plain.settimeout(PATIENCE)
        try:
            return context.wrap_socket(plain, server_hostname=os.fsdecode(self.where.name))
        except OSError:
            plain.close()
            raise


def sender(where: Destination, tag: bytes, facility: int, environ: Environ) -> Sender:
    """The destination, not open yet. A Unix socket is one of datagrams until it turns out to be a stream."""
    if where.kind in ("tcp", "tls"):
        return Stream(where, tag, facility, environ)
    if where.kind == "unix" and _is_stream(where.name):
        return Stream(where, tag, facility, environ)
    return Datagrams(where, tag, facility)


def _is_stream(path: bytes) -> bool:
    """Whether the Unix socket takes connections only; one that is not there counts as what is usual."""
    try:
        _unix(path, socket.SOCK_DGRAM).close()
    except OSError as error:
        # EPROTOTYPE: somebody is there, and it is the other type.
        return error.errno == 91
    return False


def _unix(path: bytes, kind: int) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, kind | FLAGS)
    try:
        made.settimeout(PATIENCE)
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


def _reach(where: Destination, kind: int) -> socket.socket:
    """Connect to the first address of a host that answers."""
    failure = OSError(113, os.strerror(113))
    try:
        found = socket.getaddrinfo(os.fsdecode(where.name), where.port, type=kind)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(2, f"no address for {os.fsdecode(where.name)}: {error}") from error
    for family, _, protocol, _, address in found:
        made = socket.socket(family, kind | FLAGS, protocol)
        try:
            made.settimeout(PATIENCE)
            made.connect(address)
            return made
        except OSError as error:
            made.close()
            failure = error
    raise failure


def _wait(which: socket.socket, events: int, until: float) -> None:
    left = until - time.monotonic()
    poll = select.poll()
    poll.register(which, events)
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError(110, os.strerror(110))


def _outstanding(which: socket.socket) -> int:
    from fcntl import ioctl

    return int.from_bytes(ioctl(which.fileno(), TIOCOUTQ, bytes(4)), "little")
