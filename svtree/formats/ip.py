"""IP addresses as text and as bytes: 4 of IPv4, 16 of IPv6.

Follows RFC 4291 section 2.2 and RFC 5321 section 4.1.3 ("[IPv6:...]"). Not by inet_pton or `ipaddress`: formats do no
I/O, and those cost a small program 5 ms.
"""

from __future__ import annotations

TAG = b"ipv6:"
MAPPED = bytes(10) + b"\xff\xff"
_HEX = frozenset(b"0123456789abcdefABCDEF")


def parse4(text: bytes) -> bytes | None:
    """The 4 bytes of an address in dots; None where `text` is none."""
    parts = text.split(b".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) < 4 and int(part) < 256 for part in parts):
        return None
    return bytes(int(part) for part in parts)


def parse6(text: bytes) -> bytes | None:
    """The 16 bytes of an address in colons; None where `text` is none. No zone ("%eth0") belongs to an address."""
    head, gap, tail = text.partition(b"::")
    before = _groups(head, last=not gap)
    after = _groups(tail, last=True) if gap else b""
    if before is None or after is None:
        return None
    missing = 16 - len(before) - len(after)
    # "::" stands for one group of zeros at least.
    if missing < 2 if gap else missing != 0:
        return None
    return before + bytes(missing) + after


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
    if len(address) == 4:
        return b"%d.%d.%d.%d" % tuple(address)
    groups = [address[at] << 8 | address[at + 1] for at in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    words = [b"%x" % group for group in groups]
    if length < 2:
        return b":".join(words)
    return b":".join(words[:start]) + b"::" + b":".join(words[start + length :])


def network(address: bytes) -> bytes:
    """What one customer has: the address itself, of IPv6 its first 64 bits; as text."""
    return show(address) if len(address) == 4 else show(address[:8] + bytes(8))


def _groups(text: bytes, *, last: bool) -> bytes | None:
    """The bytes of groups with colons between them; the last may be an IPv4 address where it ends the whole."""
    if not text:
        return b""
    words = text.split(b":")
    found = b""
    for number, word in enumerate(words):
        if b"." in word and last and number == len(words) - 1:
            tail = parse4(word)
            if tail is None:
                return None
            found += tail
        elif 1 <= len(word) <= 4 and _HEX.issuperset(word):
            found += int(word, 16).to_bytes(2, "big")
        else:
            return None
    return found


def _longest_zeros(groups: list[int]) -> tuple[int, int]:
    best = (0, 0)
    start = 0
    for at, group in enumerate([*groups, 1]):
        if group:
            if at - start > best[1]:
                best = (start, at - start)
            start = at + 1
    return best
