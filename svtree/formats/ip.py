"""IP addresses as text and as bytes, 4 of IPv4 and 16 of IPv6, as mail has them.

Follows RFC 5321 section 4.1.3 ("[IPv6:...]"). The texts of IPv6 addresses are those of svtree.formats.networks. Not by
inet_pton or `ipaddress`: formats do no I/O, and those cost a small program 5 ms.
"""

from __future__ import annotations

from svtree.formats import networks

TAG = b"ipv6:"
MAPPED = bytes(10) + b"\xff\xff"


def parse4(text: bytes) -> bytes | None:
    """The 4 bytes of an address in dots; None where `text` is none. In mail a number may begin with zeros."""
    parts = text.split(b".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) < 4 and int(part) < 256 for part in parts):
        return None
    return bytes(int(part) for part in parts)


def parse6(text: bytes) -> bytes | None:
    """The 16 bytes of an address in colons; None where `text` is none. No zone ("%eth0") belongs to an address."""
    number = networks.parse_v6(text)
    return None if number is None else number.to_bytes(16, "big")


def parse(text: bytes) -> bytes | None:
    """The bytes of an address of either kind, an IPv4 address in IPv6's clothes as IPv4; None where it is none."""
    address = parse6(text) if b":" in text else parse4(text)
    return address[12:] if address is not None and address[:12] == MAPPED else address


def literal(host: bytes) -> bytes | None:
    """The bytes of "[192.0.2.1]" or "[IPv6:2001:db8::1]"; None for any other host."""
    if host[:1] != b"[" or host[-1:] != b"]":
        return None
    inside = host[1:-1]
    return parse6(inside[len(TAG) :]) if inside[: len(TAG)].lower() == TAG else parse4(inside)


def show(address: bytes) -> bytes:
    """The text of an address; that of IPv6 as RFC 5952 wants it."""
    return networks.to_text(8 * len(address), int.from_bytes(address, "big"))


def network(address: bytes) -> bytes:
    """What one customer has: the address itself, of IPv6 its first 64 bits; as text."""
    return show(address) if len(address) == 4 else show(address[:8] + bytes(8))
