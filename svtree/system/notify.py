"""Telling the supervisor: the client's side of the sd_notify protocol.

Follows sd_notify(3): datagrams of VARIABLE=VALUE lines to the Unix socket that $NOTIFY_SOCKET names, a path or, after
"@", an abstract name, with descriptors beside them (SCM_RIGHTS) for the supervisor to keep. Nothing here blocks: a
supervisor that does not read holds up no service.
"""

from __future__ import annotations

import errno
import os
from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
else:
    # The Python module around it costs a small program 5 ms.
    import _socket as socket

VARIABLE = b"NOTIFY_SOCKET"
# sun_path with its final NUL.
LONGEST = 107


class Notifier:
    """A connection to the supervisor's socket. The socket dies with its supervisor; the next one makes a new one."""

    def __init__(self, where: bytes) -> None:
        """`where` as in $NOTIFY_SOCKET. Not connected yet: until then, and whenever that fails, `tell` raises."""
        self._where = where
        self._socket: socket.socket | None = None
        self._identity: tuple[int, int, int] | None = None

    def connect(self) -> None:
        """Connect anew. Raises OSError where nobody is to be reached, or we may not; then nothing is connected."""
        self.close()
        # Looked at before connecting: were it replaced between the two, `stale` would say so once too often.
        self._identity = _identity(self._where)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            _connect(made, self._where)
        except OSError:
            made.close()
            raise
        self._socket = made

    @property
    def descriptor(self) -> int:
        """To wait on until there is room for another datagram; -1 while there is no connection."""
        return -1 if self._socket is None else self._socket.fileno()

    def stale(self) -> bool:
        """Whether to connect (again): there is no connection, or another socket than ours is at the path now."""
        if self._socket is None:
            return True
        now = _identity(self._where)
        return now is not None and now != self._identity

    def tell(self, *lines: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send one datagram; OSError where it cannot be taken now (BlockingIOError) or nobody is there any more."""
        if self._socket is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        data = b"\n".join(lines)
        if descriptors:
            rights = pack(f"{len(descriptors)}i", *descriptors)
            self._socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        else:
            self._socket.send(data)

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def from_environment(environ: Mapping[bytes, bytes]) -> Notifier | None:
    """The supervisor that the environment names, connected if it is there; None where it names none."""
    where = environ.get(VARIABLE, b"")
    if where[:1] not in (b"/", b"@") or len(where) < 2:
        return None
    notifier = Notifier(where)
    try:
        notifier.connect()
    except OSError:
        # A supervisor that is being restarted: `stale` says so.
        return notifier
    return notifier


def _identity(where: bytes) -> tuple[int, int, int] | None:
    """What tells one socket at a path from the next: the number alone is given to a new file at once."""
    if where[:1] == b"@":
        return None
    try:
        found = os.stat(where)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _connect(made: socket.socket, where: bytes) -> None:
    if where[:1] == b"@":
        made.connect(b"\0" + where[1:])
        return
    if len(where) <= LONGEST:
        made.connect(where)
        return
    # Too long for the address: reach the same place through a descriptor of its directory.
    directory, _, name = where.rpartition(b"/")
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made.connect(b"/proc/self/fd/%d/%s" % (at, name))
    finally:
        os.close(at)
