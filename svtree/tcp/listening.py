"""The socket that tcpserver listens on: one that the supervisor has kept or activated, or a new one.

Follows tcpserver.c of ucspi-tcp 0.88 for names, numbers and messages. `::` is all addresses of both kinds, with -6 all
those of IPv6 alone; 0 stays all of IPv4. A name stands for its first IPv4 address, or for its first IPv6 one where it
has no other or -6 is given.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from svtree.formats import networks
from svtree.formats.record import record
from svtree.program import Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.resolver import Resolver
from svtree.system.sockets import adopt_listener, inherited
from svtree.tcp.ends import socket_address
from svtree.tcp.settings import USAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.program import Environ
    from svtree.tcp.settings import Settings

ANY = "0.0.0.0"  # noqa: S104 - that is what 0 asks for
ANY6 = "::"
# What listen(2) takes; it is cut to net.core.somaxconn anyway.
BACKLOG = (1 << 31) - 1


@record
class Listening:
    """A listening socket, non-blocking: whether the supervisor had it, and the names of what it had in vain."""

    socket: socket.socket
    stored: bool
    unfit: tuple[bytes, ...]


def listen(settings: Settings, environ: Environ) -> Listening:
    """The socket for the host and port that were asked for; Fatal, in the original's words, where there is none."""
    if len(settings.words) < 2:
        raise UsageError(USAGE)
    port = _port(settings.words[1]) if settings.unix is None else 0
    if len(settings.words) < 3:
        raise UsageError(USAGE)
    host = _host(settings, environ) if settings.unix is None else os.fsdecode(os.path.abspath(settings.unix))
    listener, unfit = _kept(settings, environ, host, port)
    stored = listener is not None
    if listener is None:
        listener = _bound(host, port, settings) if settings.unix is None else _bound_unix(host, settings)
    try:
        listener.listen(min(settings.backlog, BACKLOG))
    except OSError as error:
        raise Fatal("unable to listen: " + reason(error)) from error
    listener.setblocking(False)
    return Listening(listener, stored, tuple(unfit))


def shown(listener: socket.socket) -> bytes:
    """What -1 prints: the port, or the path."""
    address = listener.getsockname()
    return os.fsencode(address) if isinstance(address, str) else b"%d" % address[1]


def _kept(settings: Settings, environ: Environ, host: str, port: int) -> tuple[socket.socket | None, list[bytes]]:
    """The first socket handed over that fits, and the names of those that do not."""
    unfit = []
    listener: socket.socket | None = None
    for kept in inherited(environ):
        adopted = None
        if listener is None:
            adopted = adopt_listener(kept.descriptor, host, port, only_v6=settings.family == 6)
        if adopted is None:
            os.close(kept.descriptor)
            unfit.append(kept.name)
        listener = listener or adopted
    return listener, unfit


def _bound(host: str, port: int, settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = _made(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Whatever net.ipv6.bindv6only says.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, settings.family == 6 or host != ANY6)
        made.bind(socket_address(host, port))
    except OSError as error:
        made.close()
        raise Fatal("unable to bind: " + reason(error)) from error
    return made


def _bound_unix(path: str, settings: Settings) -> socket.socket:
    """A Unix socket in the place of one that nobody listens on any more.

    Two that start at once could both find the old one dead, and the second would remove the first one's new one: so the
    directory is locked from the look to the listen(2) that makes the new one alive.
    """
    import fcntl

    made = _made(socket.AF_UNIX)
    before = os.umask(0o777 & ~settings.mode)
    try:
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if _is_dead(path):
                os.unlink(path)
            made.bind(path)
            made.listen(min(settings.backlog, BACKLOG))
        finally:
            os.close(directory)
    except OSError as error:
        made.close()
        raise Fatal(f"unable to bind {path}: {reason(error)}") from error
    finally:
        os.umask(before)
    return made


def _is_dead(path: str) -> bool:
    """Whether there is a socket at a path, and nobody behind it."""
    try:
        # connect(2) is refused by a file that is no socket at all, and that is somebody's.
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        return asking.connect_ex(path) == errno.ECONNREFUSED


def _made(family: int) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise Fatal("unable to create socket: " + reason(error)) from error


def _port(word: bytes) -> int:
    """A number, of which the lower 16 bits count, or the name of a service."""
    if not word.strip(b"0123456789"):
        return int(word[-40:] or b"0") % 65536 if len(word) <= 40 else 0
    try:
        return socket.getservbyname(os.fsdecode(word), "tcp")
    except (OSError, ValueError) as error:
        raise Fatal(b"unable to figure out port number for " + word) from error


def _host(settings: Settings, environ: Environ) -> str:
    """The address to bind: any for 0 and for nothing, an IPv6 one with its interface, else the first of that name."""
    word = settings.words[0]
    if word in (b"", b"0"):
        return ANY6 if settings.family == 6 else ANY
    address, percent, interface = word.removeprefix(b"[").removesuffix(b"]").partition(b"%")
    number = networks.parse_v6(address) if b":" in address else None
    if number is not None:
        return (networks.to_text(networks.V6, number) + percent + interface).decode("utf-8", "surrogateescape")
    resolver = Resolver(environ)
    found: list[bytes] = []
    try:
        if settings.family != 6:
            found = resolver.addresses(word)
        if settings.family != 4 and not found:
            found = resolver.addresses6(word)
    except OSError as error:
        text = b"temporarily unable to figure out IP address for " + word + b": " + reason(error).encode()
        raise Fatal(text) from error
    if not found:
        raise Fatal(b"no IP address for " + word)
    return found[0].decode()
