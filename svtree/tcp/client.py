"""Making a TCP connection: from a host and a port in words to a connected socket.

Follows tcpclient.c and timeoutconn.c of ucspi-tcp 0.88: each address in turn with a short patience, then those that
were too slow once more with a long one. Uses the C module behind `socket`: the Python one costs 10 ms to import.
"""

from __future__ import annotations

import _socket
import errno
import os
import select

from svtree.formats import dns
from svtree.formats.record import record
from svtree.program import Fatal, number
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.program import Environ

LOCAL_HOST = b"127.0.0.1"
ANY = b"0.0.0.0"
# The longest that poll(2) can wait is 24 days; nobody waits longer for a connection.
LONGEST = 10**6


@record
class Plan:
    """How to connect: patience in seconds for the first and for the second try, and the local end."""

    first: int = 2
    second: int = 58
    local_ip: bytes = ANY
    local_port: int = 0
    delay: bool = True


@record
class Connection:
    """A connected socket's descriptor, which is the caller's to close, and both ends."""

    descriptor: int
    local_ip: bytes
    local_port: int
    remote_ip: bytes
    remote_port: int


def service(word: bytes) -> int:
    """The port that a word names: a number (as much of it as goes into 16 bits) or a name in /etc/services."""
    if not word.strip(b"0123456789"):
        return number(word[-16:]) & 0xFFFF
    try:
        return _socket.getservbyname(os.fsdecode(word), "tcp")
    except (OSError, ValueError):
        raise Fatal(b"unable to figure out port number for " + word) from None


def patience(text: bytes) -> tuple[int, int]:
    """Seconds for the first and the second try from "x+y", or from "x" for no second."""
    rest = text.lstrip(b"0123456789").removeprefix(b"+")
    return number(text), number(rest)


def leading_ip(text: bytes) -> bytes | None:
    """The IPv4 address, its numbers modulo 256, that a text begins with; None where it begins with none."""
    numbers = []
    rest = text
    while True:
        after = rest.lstrip(b"0123456789")
        digits = rest[: len(rest) - len(after)]
        if not digits:
            return None
        numbers.append(int(digits[-40:]) % 256)
        if len(numbers) == 4:
            return b"%d.%d.%d.%d" % tuple(numbers)
        if after[:1] != b".":
            return None
        rest = after[1:]


def addresses(host: bytes, environ: Environ) -> list[bytes]:
    """The IPv4 addresses of a host, at least one, in dots; an address is taken as it is, "0" and "" are this host."""
    if host in (b"", b"0"):
        return [LOCAL_HOST]
    found = dns.literal(host)
    if found is None:
        # Costs much to import, and most calls give an address.
        from svtree.system.resolver import Resolver

        try:
            several = Resolver(environ).addresses(host)
        except OSError as error:
            text = b"temporarily unable to figure out IP address for " + host + b": " + reason(error).encode()
            raise Fatal(text) from error
    else:
        several = [found] if found else []
    if not several:
        raise Fatal(b"no IP address for " + host)
    return several


def connect(ips: Sequence[bytes], port: int, plan: Plan, warn: Callable[[bytes], None]) -> Connection | None:
    """Connect to the first of these addresses that answers; `warn` is told of each that does not. None: none does."""
    first, second = plan.first, plan.second
    if len(ips) == 1:
        first, second = first + second, 0
    slow = []
    for ip in ips:
        try:
            return _attempt(ip, port, first, plan)
        except OSError as error:
            if second and error.errno == errno.ETIMEDOUT:
                slow.append(ip)
            else:
                warn(_failure(ip, port, error))
    for ip in slow:
        try:
            return _attempt(ip, port, second, plan)
        except OSError as error:
            warn(_failure(ip, port, error))
    return None


def _failure(ip: bytes, port: int, error: OSError) -> bytes:
    return b"unable to connect to %b port %d: %b" % (ip, port, reason(error).encode())


def _attempt(ip: bytes, port: int, patience: int, plan: Plan) -> Connection:
    """One connection, blocking; OSError where it cannot be made, Fatal where no other address would help."""
    try:
        made = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    except OSError as error:
        raise Fatal(f"unable to create socket: {reason(error)}") from error
    try:
        _bind(made, plan)
        _wait_connected(made, (ip.decode(), port), patience)
        made.setblocking(True)
        if not plan.delay:
            _without_delay(made)
        return _described(made)
    finally:
        # What has been detached is not closed by this.
        made.close()


def _bind(made: _socket.socket, plan: Plan) -> None:
    if plan.local_ip == ANY and not plan.local_port:
        # The kernel then shares local ports between connections to different places.
        return
    try:
        made.bind((plan.local_ip.decode(), plan.local_port))
    except OSError as error:
        raise Fatal(f"unable to bind socket: {reason(error)}") from error


def _wait_connected(made: _socket.socket, where: tuple[str, int], patience: int) -> None:
    failed = made.connect_ex(where)
    if failed in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        ready = select.poll()
        ready.register(made.fileno(), select.POLLOUT)
        if not ready.poll(min(patience, LONGEST) * 1000):
            failed = errno.ETIMEDOUT
        else:
            failed = made.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if failed:
        raise OSError(failed, os.strerror(failed))


def _without_delay(made: _socket.socket) -> None:
    try:
        made.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    except OSError:
        # It works without, only slower.
        return


def _described(made: _socket.socket) -> Connection:
    try:
        local_ip, local_port = made.getsockname()
    except OSError as error:
        raise Fatal(f"unable to get local address: {reason(error)}") from error
    try:
        remote_ip, remote_port = made.getpeername()
    except OSError as error:
        raise Fatal(f"unable to get remote address: {reason(error)}") from error
    return Connection(made.detach(), local_ip.encode(), local_port, remote_ip.encode(), remote_port)


def environment(base: Environ, made: Connection) -> Environ:
    """The environment of a program that is given this connection, but for names, which cost time to find out."""
    environ = dict(base)
    environ[b"PROTO"] = b"TCP"
    environ[b"TCPLOCALIP"] = made.local_ip
    environ[b"TCPLOCALPORT"] = b"%d" % made.local_port
    environ[b"TCPREMOTEIP"] = made.remote_ip
    environ[b"TCPREMOTEPORT"] = b"%d" % made.remote_port
    for name in (b"TCPLOCALHOST", b"TCPREMOTEHOST", b"TCPREMOTEINFO"):
        environ.pop(name, None)
    return environ
