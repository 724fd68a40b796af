"""Sockets as tcpserver and the supervisor handle them: made here, or handed over by the supervisor.

The hand-over follows sd_listen_fds(3): descriptors from 3 on, $LISTEN_FDS of them, named by $LISTEN_FDNAMES, meant
for process $LISTEN_PID. Our supervisor starts a service by vfork and cannot know its pid beforehand: without
$LISTEN_PID they are for whoever looks, which is why a socket is looked at before it is used.
"""

from __future__ import annotations

import os
import stat
from struct import pack, unpack

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from socket import socket as python_socket

    from svtree.program import Environ
else:
    # The Python module around it costs a small program 5 ms.
    import _socket as socket

FIRST = 3
# No service of ours keeps more than a few; a number beyond this is a mistake in the environment.
MOST = 1024
STREAM = int(socket.SOCK_STREAM)
# The size of a descriptor in a message.
INT = 4
# What the supervisor's protocols put into the environment of a service, and no handler of a connection may see.
SUPERVISORS = (
    b"LISTEN_FDS",
    b"LISTEN_PID",
    b"LISTEN_FDNAMES",
    b"LISTEN_PIDFDID",
    b"NOTIFY_SOCKET",
    b"WATCHDOG_PID",
    b"WATCHDOG_USEC",
)


@record
class Inherited:
    """A descriptor that the supervisor has kept for us, and the name it was kept under."""

    descriptor: int
    name: bytes


def inherited(environ: Environ, *, of_any_kind: bool = False) -> list[Inherited]:
    """The sockets handed over in this environment, now close-on-exec and ours to use or close.

    `of_any_kind`: not sockets alone. Nobody looks at them then, so $LISTEN_PID has to say that they are ours.
    """
    for_whom = environ.get(b"LISTEN_PID")
    count = environ.get(b"LISTEN_FDS", b"")
    if not count.isdigit() or (of_any_kind if for_whom is None else for_whom != b"%d" % os.getpid()):
        return []
    names = environ.get(b"LISTEN_FDNAMES", b"").split(b":")
    found = []
    for at in range(min(int(count[:9]), MOST)):
        descriptor = FIRST + at
        try:
            # A program on the way may have closed it, and something else may stand there, meant for the handlers, or
            # opened by us: then it is close-on-exec, which nothing is that has come through an exec.
            if not (of_any_kind or stat.S_ISSOCK(os.fstat(descriptor).st_mode)) or not os.get_inheritable(descriptor):
                continue
            os.set_inheritable(descriptor, False)
        except OSError:
            continue
        found.append(Inherited(descriptor, names[at] if at < len(names) else b""))
    return found


def receive(channel: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """One message and the descriptors beside it, at most so many, close-on-exec; b"" at the end of a stream.

    Not socket.recv_fds: that ignores its flags in Python 3.11, so that what it gives would be inherited.
    """
    message, beside, _, _ = channel.recvmsg(size, socket.CMSG_SPACE(most * INT), socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, data in beside:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            count = len(data) // INT
            descriptors += unpack(f"{count}i", data[: count * INT])
    return message, descriptors


def send(channel: socket.socket, message: bytes, descriptor: int) -> None:
    """One message and a descriptor beside it. Raises OSError, and no SIGPIPE."""
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, pack("i", descriptor))]
    channel.sendmsg([message], beside, socket.MSG_NOSIGNAL)


def without_supervisor(environ: Environ) -> Environ:
    """The environment without what is between a service and its supervisor alone."""
    return {name: value for name, value in environ.items() if name not in SUPERVISORS}


def accept(listener: python_socket) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    """A connection's descriptor, close-on-exec, and the client's address; OSError as `listener.accept()`."""
    found: tuple[int, tuple[str, int]] = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - its own name
    return found


def connected(listener: python_socket, family: int, descriptor: int) -> python_socket:
    """The socket of a connection that has been accepted, without asking for enums and for what is known."""
    return listener.__class__(family, STREAM, 0, descriptor)


def adopt_listener(descriptor: int, ip: str, port: int, *, only_v6: bool = False) -> socket.socket | None:
    """The listening stream socket at a descriptor, if it is bound just so (port 0: any); None leaves it open.

    `ip` is an IPv4 or IPv6 address or the path of a Unix socket. A socket for all addresses of both kinds is also one
    for all of IPv4: where there is one, a second could not be bound. `only_v6`: it must not be one for both kinds.
    """
    # Who listens on it accepts, which the C module's sockets cannot do alone.
    from socket import socket as python_socket

    try:
        kept = python_socket(fileno=descriptor)
    except OSError:
        return None
    try:
        fits = (
            kept.type == socket.SOCK_STREAM
            and kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            and _bound(kept, ip, port, only_v6=only_v6)
        )
    except OSError:
        fits = False
    if fits:
        return kept
    kept.detach()
    return None


def _bound(kept: socket.socket, ip: str, port: int, *, only_v6: bool) -> bool:
    if kept.family == socket.AF_UNIX:
        return ip[:1] == "/" and kept.getsockname() == ip
    if kept.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    there: tuple[str, int] = kept.getsockname()
    if port not in (0, there[1]):
        return False
    if kept.family == socket.AF_INET:
        return there[0] == ip
    for_both = kept.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0
    if ip == "0.0.0.0":  # noqa: S104 - compared, not bound
        return there[0] == "::" and for_both
    return there[0] == ip and (ip != "::" or for_both != only_v6)
