"""The IPv4 addresses of this machine: what mail for an address literal is compared with.

As in qmail's ipme.c: the addresses of the interfaces that are up, and 0.0.0.0, which always means this host. Asked of
the kernel by rtnetlink(7), since SIOCGIFCONF wants the address of a buffer, and whatever gives one of those (ctypes,
array) costs a small program 3 to 5 ms of imports. Not by `struct`, which costs one where it is a file of its own.
"""

from __future__ import annotations

import os
from fcntl import ioctl
from sys import byteorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import AF_INET, AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, if_indextoname, socket
else:
    # The Python module around it costs every small program 5 ms.
    from _socket import AF_INET, AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, if_indextoname, socket

# <linux/rtnetlink.h>, <linux/if_addr.h>, <linux/sockios.h>, <net/if.h>.
ROUTE = 0
REQUEST_DUMP = 0x301
ERROR, DONE, NEW_ADDRESS, GET_ADDRESS = 2, 3, 20, 22
ATTRIBUTE_ADDRESS, ATTRIBUTE_LOCAL = 1, 2
SIOCGIFFLAGS = 0x8913
IFF_UP = 1
# No less than a struct ifreq, which ends with the longest thing that may be asked of an interface.
IFREQ = 64
HEADER = 16
# The kernel fills no more than this in one datagram.
BLOCK = 65536
ANY = bytes(4)


# For how long `recent_addresses` are those there are, in seconds.
RECENT = 5.0
_recent: tuple[float, frozenset[bytes]] = (float("-inf"), frozenset())


def recent_addresses(now: float) -> frozenset[bytes]:
    """`addresses`, asked for once in 5 seconds of a process's monotonic clock: for one that serves many sessions."""
    global _recent  # noqa: PLW0603 - a memory of the kernel's answer, of no other state
    if not 0 <= now - _recent[0] < RECENT:
        _recent = now, addresses()
    return _recent[1]


def addresses() -> frozenset[bytes]:
    """Each address as its four bytes. Raises OSError where the kernel does not say."""
    found = {ANY}
    up: dict[int, bool] = {}
    asked = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, ROUTE)
    try:
        # struct nlmsghdr: size, kind, flags, sequence, port; struct ifaddrmsg, of which the family alone is said.
        numbers = (HEADER + 8, 4), (GET_ADDRESS, 2), (REQUEST_DUMP, 2), (1, 4), (0, 4)
        head = b"".join([number.to_bytes(size, byteorder) for number, size in numbers])
        asked.send(head + bytes((AF_INET, *bytes(7))))
        for body in _answers(asked):
            index = _number(body, 4, 4)
            if body[0] != AF_INET:
                continue
            if index not in up:
                up[index] = _is_up(asked.fileno(), index)
            if up[index]:
                found |= _address(body[8:])
    finally:
        asked.close()
    return frozenset(found)


def addresses6() -> frozenset[bytes]:
    """Each IPv6 address as its 16 bytes, and ::, which means this host; on a kernel without IPv6 that alone."""
    found = {bytes(16)}
    try:
        descriptor = os.open(b"/proc/net/if_inet6", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return frozenset(found)
    try:
        while block := os.read(descriptor, BLOCK):
            # Whole lines: the kernel cuts none in two.
            found |= {bytes.fromhex(line[:32].decode()) for line in block.splitlines() if len(line) > 32}
    finally:
        os.close(descriptor)
    return frozenset(found)


def _answers(asked: socket) -> Iterator[bytes]:
    """The bodies of the addresses (struct ifaddrmsg and attributes) that the kernel lists, to the end of its list."""
    while True:
        block = asked.recv(BLOCK)
        while len(block) >= HEADER:
            size, kind = _number(block, 0, 4), _number(block, 4, 2)
            if kind == DONE or size < HEADER:
                return
            if kind == ERROR:
                number = -int.from_bytes(block[HEADER : HEADER + 4], byteorder, signed=True)
                raise OSError(number, os.strerror(number))
            if kind == NEW_ADDRESS:
                yield block[HEADER:size]
            block = block[size + 3 & ~3 :]


def _address(attributes: bytes) -> set[bytes]:
    """Our own end: of a point-to-point link, IFA_ADDRESS is the other one's."""
    found = {}
    while len(attributes) >= 4:
        size, kind = _number(attributes, 0, 2), _number(attributes, 2, 2)
        if size < 4:
            break
        found[kind] = attributes[4:size]
        attributes = attributes[size + 3 & ~3 :]
    ours = found.get(ATTRIBUTE_LOCAL, found.get(ATTRIBUTE_ADDRESS, b""))
    return {ours} if len(ours) == 4 else set()


def _is_up(descriptor: int, index: int) -> bool:
    try:
        name = os.fsencode(if_indextoname(index))
        answer = ioctl(descriptor, SIOCGIFFLAGS, name.ljust(IFREQ, b"\0"))
    except OSError:
        # An interface that went away in between.
        return False
    return bool(_number(answer, 16, 2) & IFF_UP)


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], byteorder)
