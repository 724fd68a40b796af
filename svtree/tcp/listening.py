"""The socket that tcpserver listens on: the one the supervisor has kept for it, or a new one.

Follows tcpserver.c of ucspi-tcp 0.88 for names, numbers and messages.
"""

from __future__ import annotations

import os
import socket

from svtree.formats.record import record
from svtree.program import Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.resolver import Resolver
from svtree.system.sockets import adopt_listener, inherited
from svtree.tcp.settings import USAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.program import Environ
    from svtree.tcp.settings import Settings

ANY = b"0.0.0.0"
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
    port = _port(settings.words[1])
    if len(settings.words) < 3:
        raise UsageError(USAGE)
    host = _host(settings.words[0], environ)
    unfit = []
    listener: socket.socket | None = None
    for kept in inherited(environ):
        adopted = adopt_listener(kept.descriptor, host, port) if listener is None else None
        if adopted is None:
            os.close(kept.descriptor)
            unfit.append(kept.name)
        listener = listener or adopted
    stored = listener is not None
    if listener is None:
        listener = _bound(host, port)
    try:
        listener.listen(min(settings.backlog, BACKLOG))
    except OSError as error:
        raise Fatal("unable to listen: " + reason(error)) from error
    listener.setblocking(False)
    return Listening(listener, stored, tuple(unfit))


def _bound(host: str, port: int) -> socket.socket:
    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise Fatal("unable to create socket: " + reason(error)) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise Fatal("unable to bind: " + reason(error)) from error
    return made


def _port(word: bytes) -> int:
    """A number, of which the lower 16 bits count, or the name of a service."""
    if not word.strip(b"0123456789"):
        return int(word[-40:] or b"0") % 65536 if len(word) <= 40 else 0
    try:
        return socket.getservbyname(os.fsdecode(word), "tcp")
    except (OSError, ValueError) as error:
        raise Fatal(b"unable to figure out port number for " + word) from error


def _host(word: bytes, environ: Environ) -> str:
    """The address to bind: any for 0 and for nothing, else the first one of that name."""
    if word in (b"", b"0"):
        return ANY.decode()
    try:
        found = Resolver(environ).addresses(word)
    except OSError as error:
        text = b"temporarily unable to figure out IP address for " + word + b": " + reason(error).encode()
        raise Fatal(text) from error
    if not found:
        raise Fatal(b"no IP address for " + word)
    return found[0].decode()
