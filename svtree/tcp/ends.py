"""The ends of a connection, from the socket module's forms to ours and back: IPv4, IPv6, Unix sockets."""

from __future__ import annotations

import os
import socket
from fcntl import ioctl
from struct import calcsize, unpack, unpack_from
from termios import FIONREAD

from svtree.tcp.connection import Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

# How the kernel shows an IPv4 client of a socket for both kinds.
MAPPED = b"::ffff:"
# struct ucred
CREDENTIALS = "3i"
# Of struct tcp_info: bytes received; bytes not sent yet; segments with data sent. Since Linux 4.6 it is that long.
RECEIVED, UNSENT, SENT, TCP_INFO = 128, 144, 156, 160


def peer(address: Address) -> Peer:
    """The client at an address as accept gives it, of IPv4 or IPv6; one that is IPv4 behind that is IPv4."""
    ip = address[0].encode()
    if b":" not in ip:
        return Peer(ip, address[1])
    interface = b""
    if len(address) == 4 and address[3]:
        try:
            interface = socket.if_indextoname(address[3]).encode("utf-8", "surrogateescape")
        except OSError:
            # It has just gone away.
            interface = b"%d" % address[3]
    return Peer(plain(ip), address[1], interface)


def socket_address(ip: str, port: int) -> Address:
    """What bind and connect want for an address that may have an interface; OSError where there is no such."""
    ip, percent, interface = ip.partition("%")
    # Of an interface within the address the socket module takes no notice.
    return (ip, port, 0, socket.if_nametoindex(interface)) if percent else (ip, port)


def plain(ip: bytes) -> bytes:
    """An address as the kernel shows it, that of IPv4 in IPv6's clothes as what it is."""
    return ip[len(MAPPED) :] if ip.startswith(MAPPED) and b"." in ip else ip


def shown(ip: bytes) -> set[str]:
    """How the kernel shows an address: one of IPv4 in IPv6's clothes too, to a socket for both kinds."""
    return {ip.decode("latin-1")} if b":" in ip else {ip.decode("latin-1"), (MAPPED + ip).decode("latin-1")}


def local_peer(client: socket.socket) -> Peer:
    """Who has connected by a Unix socket, as the kernel knows it."""
    told = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, calcsize(CREDENTIALS))
    process, user, group = unpack(CREDENTIALS, told)
    return Peer(b"uid=%d" % user, process, credentials=(process, user, group))


def local_end(client: socket.socket) -> tuple[bytes, int]:
    """Our own address and port, or the path of our socket and 0; OSError where the kernel does not say."""
    address = client.getsockname()
    if not isinstance(address, tuple):
        return os.fsencode(address), 0
    return plain(address[0].partition("%")[0].encode()), address[1]


def untouched(client: socket.socket) -> bool:
    """Whether a TCP client has been told nothing so far, and what it has said is still there to be read."""
    try:
        told = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO)
        waiting = unpack("i", ioctl(client, FIONREAD, bytes(4)))[0]
    except OSError:
        # No TCP.
        return False
    if len(told) < TCP_INFO or any(unpack_from("I", told, at)[0] for at in (UNSENT, SENT)):
        return False
    return bool(unpack_from("Q", told, RECEIVED)[0] == waiting)
