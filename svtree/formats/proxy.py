"""The header by which a proxy says for whom it connects: HAProxy's PROXY protocol, versions 1 and 2. Pure.

Follows "The PROXY protocol" of HAProxy (2020/03/05), sections 2.1 and 2.2. The bytes come from a network: whatever they
are, the outcome is an answer or ProxyError. `missing` tells a reader how much it may read without taking a byte of what
follows the header, so that a program behind us finds its first byte first.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.networks import V4, V6
from svtree.formats.record import record

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WORD = b"PROXY "
# The longest line of version 1, with its end.
LINE = 107
# Of version 2: before and with its length, and more than any proxy adds in TLVs.
FIXED = 16
LONGEST = 4096
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6 = 0x11, 0x21
SIZES = {TCP4: 4, TCP6: 16}
PORTS = 1 << 16


class ProxyError(Exception):
    """The bytes are no header."""


@record
class Proxied:
    """Both ends of the connection that the proxy has accepted; addresses as text, mapped ones as IPv4."""

    remote_ip: bytes
    remote_port: int
    local_ip: bytes
    local_port: int


def missing(data: bytes) -> int:
    """How many bytes there are still to be read, at least, before the header is whole; 0 when it is."""
    if len(data) < len(SIGNATURE):
        if not SIGNATURE.startswith(data) and data[: len(WORD)] != WORD[: len(data)]:
            raise ProxyError("neither version 1 nor version 2")
        if b"\n" in data and not SIGNATURE.startswith(data):
            raise ProxyError("a line that is too short")
        return len(SIGNATURE) - len(data)
    if data.startswith(SIGNATURE):
        if len(data) < FIXED:
            return FIXED - len(data)
        size = int.from_bytes(data[14:16], "big")
        if size > LONGEST:
            raise ProxyError("too long")
        return max(0, FIXED + size - len(data))
    if not data.startswith(WORD):
        raise ProxyError("neither version 1 nor version 2")
    if b"\n" in data:
        return 0
    if len(data) >= LINE:
        raise ProxyError("a line that is too long")
    return 1


def parse(data: bytes) -> Proxied | None:
    """What a whole header says; None where the connection is the proxy's own or of a kind that it cannot name."""
    if missing(data):
        raise ProxyError("cut short")
    return _binary(data) if data.startswith(SIGNATURE) else _line(data)


def _line(data: bytes) -> Proxied | None:
    line, end, rest = data.partition(b"\r\n")
    if not end or rest:
        raise ProxyError("a line that does not end with CR LF")
    words = line.split(b" ")
    # Whatever a proxy adds after UNKNOWN is not to be looked at.
    if words[1] == b"UNKNOWN":
        return None
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyError("not PROXY TCP4 or TCP6, two addresses and two ports")
    colons = words[1] == b"TCP6"
    if any((b":" in word) != colons for word in words[2:4]):
        raise ProxyError("an address of the other kind")
    source, destination = (_address(word) for word in words[2:4])
    return Proxied(source, _port(words[4]), destination, _port(words[5]))


def _address(word: bytes) -> bytes:
    found = networks.parse(word)
    if found is None:
        raise ProxyError("an address that is none")
    return networks.to_text(*found)


def _port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and word != b"0") or int(word) >= PORTS:
        raise ProxyError("a port that is none")
    return int(word)


def _binary(data: bytes) -> Proxied | None:
    command, family = data[12:14]
    if command == LOCAL:
        return None
    if command != PROXY:
        raise ProxyError("neither LOCAL nor PROXY of version 2")
    size = SIZES.get(family)
    if size is None:
        # Unix sockets, datagrams, or what is not specified: no address that a rule could be about.
        return None
    ends = data[FIXED : FIXED + 2 * size + 4]
    if len(ends) < 2 * size + 4:
        raise ProxyError("addresses that are cut short")
    source, destination = _packed(ends[:size]), _packed(ends[size : 2 * size])
    ports = ends[2 * size :]
    return Proxied(source, int.from_bytes(ports[:2], "big"), destination, int.from_bytes(ports[2:], "big"))


def _packed(address: bytes) -> bytes:
    number = int.from_bytes(address, "big")
    if len(address) == 4:
        return networks.to_text(V4, number)
    if number >> V4 == networks.MAPPED >> V4:
        return networks.to_text(V4, number ^ networks.MAPPED)
    return networks.to_text(V6, number)
