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
SIXFOLD = (b"LOCALIP", b"LOCALPORT", b"LOCALHOST", b"REMOTEIP", b"REMOTEPORT", b"REMOTEHOST")
NAMES = (*(b"TCP" + name for name in SIXFOLD), b"TCPREMOTEINFO")
# How much of a name goes into a log line.
SHOWN = 100
# "%" was too much for some logger's printf, ":" separates.
_SAFE = bytes(byte if 33 <= byte <= 126 and byte not in b"%:" else 63 for byte in range(256))


@record
class Proxy:
    """Whom a client has come by: the proxy's address, and the end of the client's connection there."""

    ip: bytes
    local_ip: bytes
    local_port: int


@record
class Peer:
    """The client's end: address and port. An IPv4 address in dots, or an IPv6 one, with its interface if it needs one.

    With `proxy` it is the end that a proxy has named.

    Who comes by a Unix socket has `credentials` instead, pid, uid and gid as the kernel knows them; the address then is
    "uid=UID", and the port its pid.
    """

    ip: bytes
    port: int
    interface: bytes = b""
    credentials: tuple[int, int, int] | None = None
    proxy: Proxy | None = None


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
    if known.peer.credentials is not None:
        _unix(environ, known, known.peer.credentials)
    else:
        _tcp(environ, known)
    environ.update(rules)
    # A rule `,=value` sets a variable without a name, which execve would refuse.
    environ.pop(b"", None)
    return environ


def _tcp(environ: Environ, known: Known) -> None:
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
    if b":" not in known.peer.ip:
        return
    # As ucspi-tcp6 has it: the same once more under names of IPv6's own.
    environ[b"PROTO"] = b"TCP6"
    for name in SIXFOLD:
        if b"TCP" + name in environ:
            environ[b"TCP6" + name] = environ[b"TCP" + name]
        else:
            environ.pop(b"TCP6" + name, None)
    for name in (b"TCPINTERFACE", b"TCP6INTERFACE"):
        environ.pop(name, None)
        if known.peer.interface:
            environ[name] = known.peer.interface


def _unix(environ: Environ, known: Known, credentials: tuple[int, int, int]) -> None:
    """As ucspi-unix and, under names that begin with IPC, s6-ipcserver have it."""
    for name in NAMES:
        environ.pop(name, None)
    process, user, group = (b"%d" % number for number in credentials)
    environ[b"PROTO"] = b"UNIX"
    environ[b"UNIXLOCALPATH"] = environ[b"IPCLOCALPATH"] = known.local_ip
    environ[b"UNIXREMOTEPID"] = process
    environ[b"UNIXREMOTEEUID"] = environ[b"IPCREMOTEEUID"] = user
    environ[b"UNIXREMOTEEGID"] = environ[b"IPCREMOTEEGID"] = group


def status(count: int, limit: int) -> bytes:
    """How many connections are served, of how many."""
    return NAME + b"status: %d/%d\n" % (count, limit)


def arrival(pid: int, peer: Peer) -> bytes:
    """Process `pid` begins to look after the connection from `peer`, and by whom that has come."""
    if peer.proxy is None:
        return NAME + b"pid %d from %s\n" % (pid, peer.ip)
    lines = NAME + b"pid %d from %s\n" + NAME + b"pid %d by proxy %s from %s\n"
    return lines % (pid, peer.proxy.ip, pid, peer.proxy.ip, peer.ip)


def verdict(word: bytes, pid: int, known: Known, why: bytes = b"") -> bytes:
    """`word` is b"ok" or b"deny"; `why` a limit that has been reached, at the end as the limits patch has it."""
    parts = (
        word,
        pid,
        safe(known.local_host or b""),
        _bracketed(known.local_ip),
        known.local_port,
        safe(known.remote_host or b""),
        _bracketed(known.peer.ip),
        safe(known.remote_info or b""),
        known.peer.port,
        b" " + why if why else b"",
    )
    return NAME + b"%s %d %s:%s:%d %s:%s:%s:%d%s\n" % parts


def talker(pid: int, peer: Peer, said: bytes) -> bytes:
    """The client of process `pid` has spoken before it was greeted."""
    return NAME + b"pregreet %d from %s: %s\n" % (pid, peer.ip, safe(said))


def end(pid: int, status: int) -> bytes:
    """Process `pid` is done with its connection; `status` is the raw wait status."""
    return NAME + b"end %d status %d\n" % (pid, status)


def dropping(reason: bytes) -> bytes:
    """A connection is closed without having been served."""
    return DROP + reason + b"\n"


def _bracketed(ip: bytes) -> bytes:
    """An address as it goes into a line whose fields end with colons."""
    return b"[%s]" % ip if b":" in ip and ip[:1] != b"/" else safe(ip)


def safe(text: bytes) -> bytes:
    """A text from outside as it goes into a log line: nothing that could break the line, and not too long."""
    shown = text[:SHOWN].translate(_SAFE)
    return shown + b"..." if len(text) >= SHOWN else shown
