"""The IPv4 addresses of this machine: what mail for an address literal is compared with.

Follows qmail's ipme.c: the addresses of the interfaces that are up, and 0.0.0.0, which always means this host.
"""

from __future__ import annotations

from array import array
from fcntl import ioctl
from struct import calcsize, pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, socket
else:
    # The Python module around it costs every small program 5 ms.
    from _socket import AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, socket

# <linux/sockios.h> and <net/if.h>; struct ifreq is a name and a union, the largest of which is struct ifmap.
SIOCGIFCONF = 0x8912
SIOCGIFFLAGS = 0x8913
IFF_UP = 1
NAME = 16
REQUEST = NAME + calcsize("LLHBBB0L")
ANY = bytes(4)


def addresses() -> frozenset[bytes]:
    """Each address as its four bytes. Raises OSError where the kernel does not say."""
    found = {ANY}
    asked = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC)
    try:
        table = _table(asked.fileno())
        for at in range(0, len(table), REQUEST):
            family = unpack_from("H", table, at + NAME)[0]
            if family == AF_INET and _is_up(asked.fileno(), table[at : at + NAME]):
                found.add(table[at + NAME + 4 : at + NAME + 8])
    finally:
        asked.close()
    return frozenset(found)


def _table(descriptor: int) -> bytes:
    """SIOCGIFCONF's array of struct ifreq; a first call asks for its size, which may have grown by the second."""
    size = 0
    while True:
        room = array("B", bytes(size))
        place = room.buffer_info()[0] if size else 0
        used: int = unpack_from("i", ioctl(descriptor, SIOCGIFCONF, pack("iP", size, place)))[0]
        # A table that fills the room may have been cut.
        if used < size:
            return room[:used].tobytes()
        size = used + 4 * REQUEST


def _is_up(descriptor: int, name: bytes) -> bool:
    try:
        answer = ioctl(descriptor, SIOCGIFFLAGS, name + bytes(REQUEST - NAME))
    except OSError:
        # An interface that went away in between.
        return False
    return bool(unpack_from("h", answer, NAME)[0] & IFF_UP)
