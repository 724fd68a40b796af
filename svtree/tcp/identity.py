"""Who a client says it is: its host name by the DNS, its user by ident. Slow, so asked in the connection's process.

Follows tcpserver.c and remoteinfo.c of ucspi-tcp 0.88 and RFC 1413. What cannot be found out is None, never an error:
a name server that is down must not keep mail out.
"""

from __future__ import annotations

import socket
import time

from svtree.formats import dns, networks
from svtree.tcp.ends import socket_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.system.resolver import Resolver
    from svtree.tcp.connection import Peer

IDENT = 113
# What is kept of an ident answer.
LONGEST = 257


def host_name(resolver: Resolver, ip: bytes) -> bytes | None:
    """The name of an address, None if it has none or no server answers."""
    try:
        return resolver.name(ip)
    except OSError:
        return None


def confirmed(resolver: Resolver, name: bytes, ip: bytes) -> bool:
    """Whether a host name has this address among its own."""
    try:
        if b":" not in ip:
            return ip in resolver.exactly(name)
        number = networks.parse_v6(ip)
        return any(networks.parse_v6(found) == number for found in resolver.exactly(name, dns.AAAA))
    except OSError:
        return False


def user(peer: Peer, local_ip: bytes, local_port: int, timeout: float, port: int = IDENT) -> bytes | None:
    """The answer of the client's ident server, None without one within `timeout` seconds; b"" where it tells no name.

    The answer is what stands after the third colon, without blanks, and no more than 257 bytes of it.
    """
    deadline = time.monotonic() + timeout
    family = socket.AF_INET6 if b":" in peer.ip else socket.AF_INET
    # A link-local address means nothing without its interface.
    zone = f"%{peer.interface.decode()}" if peer.interface else ""
    with socket.socket(family, socket.SOCK_STREAM) as asking:
        try:
            asking.bind(socket_address(local_ip.decode() + zone, 0))
            _patience(asking, deadline)
            asking.connect(socket_address(peer.ip.decode() + zone, port))
            _patience(asking, deadline)
            asking.sendall(b"%d , %d\r\n" % (peer.port, local_port))
            return _answer(asking, deadline)
        except OSError:
            return None


def _answer(asking: socket.socket, deadline: float) -> bytes | None:
    answer = bytearray()
    colons = 0
    while True:
        _patience(asking, deadline)
        data = asking.recv(128)
        if not data:
            return None
        for byte in data:
            if byte in b" \t\r":
                continue
            if byte == 10:
                # As a C string ends.
                return bytes(answer).partition(b"\0")[0]
            if colons < 3:
                colons += byte == 58
                continue
            answer.append(byte)
            if len(answer) >= LONGEST:
                return bytes(answer).partition(b"\0")[0]


def _patience(asking: socket.socket, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    asking.settimeout(left)
