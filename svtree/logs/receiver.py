"""syslog-receiver's driver: datagrams in, one line each out, none lost on the way.

A datagram is looked at (MSG_PEEK), its line is written, and only then is it taken from the socket. So one that we are
killed over is in the socket still, which the supervisor keeps for the next of us (FDSTORE, LISTEN_FDS): it may be
written twice then, never not at all.

A splogger that was killed sends its last message again, with the stamp of the first time (see svtree.logs.splogger).
A message that equals the last one of the same tag, and begins with such a stamp, is that, and is left out.
"""

from __future__ import annotations

import os
import select
import stat

from svtree.formats.syslog import parse
from svtree.program import Fatal
from svtree.system.errors import reason
from svtree.system.notify import from_environment
from svtree.system.sockets import inherited
from svtree.system.wakeup import TERM, Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from svtree.formats.syslog import Destination
    from svtree.program import Environ
else:
    # The Python module around it costs a small program 5 ms.
    import _socket as socket

NAME = b"syslog"
# The most of a message that is kept, in bytes; what is longer ends in "...".
LIMIT = 65536
BUFFER = 8 << 20
SO_RCVBUFFORCE = 33
# How often to look after the supervisor, in milliseconds, and so many messages are dealt with between two looks.
INTERVAL = 1000
TURN = 1000
# A pipe that is ready takes at least this much without blocking.
CHUNK = 4096
# Tags whose last message is remembered.
MOST_TAGS = 1000


class Receiver:
    """A bound socket, and standard output."""

    def __init__(self, where: Destination, mode: int, environ: Environ, out: int = 1) -> None:
        """Take the socket the supervisor has kept, or bind one. Raises Fatal. `out` stays the caller's."""
        self._out = out
        self._socket, self._stored = _socket(where, mode, environ)
        self._notifier = from_environment(environ)
        self._told = False
        self._last: dict[bytes, bytes] = {}
        self._wakeup = Wakeup(TERM)

    def run(self) -> None:
        """Receive until TERM; what is in the socket then is written still."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._wakeup.descriptor, select.POLLIN)
        while not self._wakeup.pending():
            self._tell()
            poll.poll(INTERVAL if self._notifier is not None else None)
            self._turn()
        self._turn()

    def close(self) -> None:
        """Give everything back. The socket's name stays: the supervisor may hold the socket."""
        self._socket.close()
        self._wakeup.close()
        if self._notifier is not None:
            self._notifier.close()

    def _turn(self) -> None:
        """Deal with the messages that are there, up to a number."""
        for _ in range(TURN):
            try:
                data, _, flags, _ = self._socket.recvmsg(LIMIT, 0, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                # An error of the network that somebody's datagram has caused; it is taken by being told.
                continue
            if not self._write(data, cut=bool(flags & socket.MSG_TRUNC)):
                return
            self._socket.recv(1, socket.MSG_DONTWAIT)

    def _write(self, data: bytes, *, cut: bool) -> bool:
        """Write a message's line, unless it has been; False when there is no time left to."""
        if not data:
            return True
        message = parse(data)
        if self._last.get(message.tag) == data and _is_stamped(message.text):
            return True
        view = memoryview(message.line() + (b"...\n" if cut else b"\n"))
        while view:
            if not self._writable():
                return False
            view = view[os.write(self._out, view[:CHUNK]) :]
        if len(self._last) >= MOST_TAGS:
            self._last.clear()
        self._last[message.tag] = data
        return True

    def _writable(self) -> bool:
        """Wait until the log takes something; False when TERM comes and it does not."""
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        if poll.poll(0):
            return True
        poll.register(self._wakeup.descriptor, select.POLLIN)
        while True:
            if any(descriptor == self._out for descriptor, _ in poll.poll()):
                return True
            if self._wakeup.pending():
                return False

    def _tell(self) -> None:
        """Have the supervisor keep the socket, and another one that takes its place."""
        if self._notifier is None:
            return
        try:
            if self._notifier.stale():
                self._told = self._stored = False
                self._notifier.connect()
            if not self._told:
                if not self._stored:
                    self._notifier.tell(b"FDSTORE=1", b"FDNAME=" + NAME, descriptors=(self._socket.fileno(),))
                    self._stored = True
                self._notifier.tell(b"READY=1")
                self._told = True
        except OSError:
            # Not there, or too busy: it is told in a second.
            self._told = False


def _is_stamped(text: bytes) -> bool:
    """Whether a text begins as splogger's first pieces do: SECONDS.MICROSECONDS and a space."""
    seconds, dot, rest = text.partition(b".")
    return bool(dot) and seconds.isdigit() and rest[:6].isdigit() and rest[6:7] == b" "


def _socket(where: Destination, mode: int, environ: Environ) -> tuple[socket.socket, bool]:
    """The bound socket, and whether the supervisor has it."""
    for kept in inherited(environ):
        adopted = _adopt(kept.descriptor, where)
        if adopted is not None:
            return adopted, True
        os.close(kept.descriptor)
    try:
        made = _bind_unix(where.name, mode) if where.kind == "unix" else _bind_udp(where)
    except OSError as error:
        raise Fatal(b"unable to bind " + where.show() + b": " + reason(error).encode()) from error
    _enlarge(made)
    return made, False


def _adopt(descriptor: int, where: Destination) -> socket.socket | None:
    """The kept socket, if it is what we would bind and can still be found by others; None leaves it open."""
    kept = socket.socket(fileno=descriptor)
    fits = False
    if kept.type == socket.SOCK_DGRAM:
        name = kept.getsockname()
        if where.kind == "unix" and kept.family == socket.AF_UNIX:
            fits = os.fsencode(name) == where.name and _is_socket(where.name)
        elif where.kind == "udp" and kept.family != socket.AF_UNIX:
            fits = name[1] == where.port and name[0] == os.fsdecode(where.name)
    if fits:
        return kept
    kept.detach()
    return None


def _bind_unix(path: bytes, mode: int) -> socket.socket:
    """Bind to a path, over a socket that nobody has open any more, with exactly this mode."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        if _is_socket(path) and not _is_live(path):
            os.unlink(path)
        # Set from the first moment: there is no time at which somebody may not yet, or may still, write to it.
        before = os.umask(0o777 & ~mode)
        try:
            made.bind(path)
        finally:
            os.umask(before)
    except OSError:
        made.close()
        raise
    return made


def _is_socket(path: bytes) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _is_live(path: bytes) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        return False
    except OSError:
        # Somebody is there who takes no datagrams, or not from us.
        return True
    finally:
        probe.close()
    return True


def _bind_udp(where: Destination) -> socket.socket:
    found = socket.getaddrinfo(os.fsdecode(where.name), where.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _enlarge(which: socket.socket) -> None:
    """Room for a burst while the log turns over: as much as we may have."""
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            which.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            return
        except PermissionError:
            continue
