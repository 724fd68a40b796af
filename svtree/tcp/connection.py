"""What is known about a connection, as its handler and its log see it. Pure: addresses and names are handed in.

Follows tcpserver(1), tcp-environ(5) and the log lines of ucspi-tcp 0.88, which log readers match word for word.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from svtree.program import Environ

NAME = b"tcpserver: "
DROP = b"tcpserver: warning: dropping connection, "
# How much of a name goes into a log line.
SHOWN = 100
# "%" was too much for some logger's printf, ":" separates.
_SAFE = bytes(byte if 33 <= byte <= 126 and byte not in b"%:" else 63 for byte in range(256))


@record
class Peer:
    """The client's end: IPv4 address in dots, and port."""

    ip: bytes
    port: int


@record
class Known:
    """Both ends; a name that is None was not asked for, or there is none."""

    local_ip: bytes
    local_port: int
    local_host: bytes | None
    peer: Peer
    remote_host: bytes | None = None
    remote_info: bytes | None = None


def environment(base: Mapping[bytes, bytes], known: Known, rules: Iterable[tuple[bytes, bytes]]) -> Environ:
    """The handler's environment: ours, then the connection's, then what the rules say; later ones outdo earlier."""
    environ = dict(base)
    environ[b"PROTO"] = b"TCP"
    environ[b"TCPLOCALIP"] = known.local_ip
    environ[b"TCPLOCALPORT"] = b"%d" % known.local_port
    environ[b"TCPREMOTEIP"] = known.peer.ip
    environ[b"TCPREMOTEPORT"] = b"%d" % known.peer.port
    for name, value in (
        (b"TCPLOCALHOST", known.local_host),
        (b"TCPREMOTEHOST", known.remote_host),
        (b"TCPREMOTEINFO", known.remote_info),
    ):
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    environ.update(rules)
    # A rule `,=value` sets a variable without a name, which execve would refuse.
    environ.pop(b"", None)
    return environ


def status(count: int, limit: int) -> bytes:
    """How many connections are served, of how many."""
    return NAME + b"status: %d/%d\n" % (count, limit)


def arrival(pid: int, peer: Peer) -> bytes:
    """Process `pid` begins to look after the connection from `peer`."""
    return NAME + b"pid %d from %s\n" % (pid, peer.ip)


def verdict(word: bytes, pid: int, known: Known) -> bytes:
    """`word` is b"ok" or b"deny"."""
    parts = (
        word,
        pid,
        safe(known.local_host or b""),
        safe(known.local_ip),
        known.local_port,
        safe(known.remote_host or b""),
        safe(known.peer.ip),
        safe(known.remote_info or b""),
        known.peer.port,
    )
    return NAME + b"%s %d %s:%s:%d %s:%s:%s:%d\n" % parts


def end(pid: int, status: int) -> bytes:
    """Process `pid` is done with its connection; `status` is the raw wait status."""
    return NAME + b"end %d status %d\n" % (pid, status)


def dropping(reason: bytes) -> bytes:
    """A connection is closed without having been served."""
    return DROP + reason + b"\n"


def safe(text: bytes) -> bytes:
    """A text from outside as it goes into a log line: nothing that could break the line, and not too long."""
    shown = text[:SHOWN].translate(_SAFE)
    return shown + b"..." if len(text) >= SHOWN else shown
