"""Making a TCP connection: from a host and a port in words to a connected socket.

Follows tcpclient.c and timeoutconn.c of ucspi-tcp 0.88: each address in turn with a short patience, then those that
were too slow once more with a long one. Beyond it, a host may be an IPv6 address, with an interface if it needs one
(fe80::1%eth0), or a name that has such addresses and none of IPv4.

Uses the C module behind `socket`: the Python one costs 10 ms to import.
"""

from __future__ import annotations

import _socket
import errno
import os
import select

from svtree.formats import dns, networks
from svtree.formats.record import record
from svtree.program import Fatal, number
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from svtree.program import Environ

    Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

LOCAL_HOST, LOCAL_HOST6 = b"127.0.0.1", b"::1"
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
    """A connected socket's descriptor, which is the caller's to close, and both ends.

    `interface` is that of a far end which means nothing without.
    """

    descriptor: int
    local_ip: bytes
    local_port: int
    remote_ip: bytes
    remote_port: int
    interface: bytes = b""


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


def ipv6(text: bytes) -> bytes | None:
    """The address that an IPv6 address is, alone or in brackets, with its interface; None where it is none.

    One that stands for an IPv4 address is that.
    """
    inside = text[1:-1] if text[:1] == b"[" and text[-1:] == b"]" else text
    ip, percent, interface = inside.partition(b"%")
    found = networks.parse(ip) if b":" in ip else None
    if found is None:
        return None
    return networks.to_text(*found) + (percent + interface if found[0] == networks.V6 else b"")


def addresses(host: bytes, environ: Environ, family: int = 0) -> list[bytes]:
    """The addresses of a host as text, at least one; an address is taken as it is, "0" and "" are this host.

    `family` is 4 or 6 for addresses of that kind only. Otherwise a name's IPv6 addresses are asked for where it has
    none of IPv4.
    """
    if host in (b"", b"0"):
        return [LOCAL_HOST6 if family == 6 else LOCAL_HOST]
    found = ipv6(host)
    if found is None:
        found = dns.literal(host)
    if found is None:
        several = _looked_up(host, environ, family)
    else:
        several = [found] if found and family != (4 if b":" in found else 6) else []
    if not several:
        raise Fatal(b"no IP address for " + host)
    return several


def _looked_up(host: bytes, environ: Environ, family: int) -> list[bytes]:
    # Costs much to import, and most calls give an address.
    from svtree.system.resolver import Resolver

    resolver = Resolver(environ)
    try:
        found = resolver.addresses(host) if family != 6 else []
        return found if found or family == 4 else resolver.addresses6(host)
    except OSError as error:
        text = b"temporarily unable to figure out IP address for " + host + b": " + reason(error).encode()
        raise Fatal(text) from error


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
    family = _socket.AF_INET6 if b":" in ip else _socket.AF_INET
    kind = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    try:
        made = _socket.socket(family, kind)
    except OSError as error:
        raise Fatal(f"unable to create socket: {reason(error)}") from error
    try:
        _bind(made, plan)
        _wait_connected(made, _address(ip, port), patience)
        made.setblocking(True)
        if not plan.delay:
            _without_delay(made)
        return _described(made)
    finally:
        # What has been detached is not closed by this.
        made.close()


def _address(ip: bytes, port: int) -> Address:
    """What bind and connect want for an address that may have an interface; OSError where there is no such."""
    plain, percent, interface = ip.decode("utf-8", "surrogateescape").partition("%")
    return (plain, port, 0, _socket.if_nametoindex(interface)) if percent else (plain, port)


def _bind(made: _socket.socket, plan: Plan) -> None:
    if plan.local_ip == ANY and not plan.local_port:
        # The kernel then shares local ports between connections to different places.
        return
    six = made.family == _socket.AF_INET6
    local_ip = b"::" if six and plan.local_ip == ANY else plan.local_ip
    try:
        if (b":" in local_ip) != six:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        made.bind(_address(local_ip, plan.local_port))
    except OSError as error:
        raise Fatal(f"unable to bind socket: {reason(error)}") from error


def _wait_connected(made: _socket.socket, where: Address, patience: int) -> None:
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
        local_ip, local_port, *_ = made.getsockname()
    except OSError as error:
        raise Fatal(f"unable to get local address: {reason(error)}") from error
    try:
        remote_ip, remote_port, *more = made.getpeername()
    except OSError as error:
        raise Fatal(f"unable to get remote address: {reason(error)}") from error
    interface = os.fsencode(_socket.if_indextoname(more[1])) if more and more[1] else b""
    return Connection(made.detach(), local_ip.encode(), local_port, remote_ip.encode(), remote_port, interface)
