"""Networks of IP addresses: text to numbers and back, for IPv4 and IPv6. Pure, and quick to import.

An IPv4 address is four decimal numbers without leading zeros; inet_aton's other forms are none. An IPv6 address is any
of the forms of RFC 4291, section 2.2, without a zone, and is written as RFC 5952 wants it but for its section 5: no
address is written with dots. An IPv4 address in the form of an IPv6 one (::ffff:192.0.2.1, what a listener for both
kinds sees of an IPv4 client) is that IPv4 address.

Numbers, not bytes as in svtree.formats.ip: what is asked of a network is masks.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# How long an address is; a network's `bits` tells which kind it is of.
V4 = 32
V6 = 128
# ::ffff:0:0/96
MAPPED = 0xFFFF << V4
HEXADECIMAL = b"0123456789abcdefABCDEF"
OCTETS = {b"%d" % number: number for number in range(256)}
LENGTHS = {b"%d" % number: number for number in range(V6 + 1)}
# Groups of zeros, the longest first: what "::" stands for.
ZEROS = tuple(b":0" * count for count in range(8, 1, -1))


@record
class Network:
    """The addresses whose first `length` bits are those of `number`; the other bits of `number` are 0."""

    bits: int
    number: int
    length: int

    @property
    def text(self) -> bytes:
        """As people write it: an address, and its length unless that is all of it."""
        address = to_text(self.bits, self.number)
        return address if self.length == self.bits else b"%s/%d" % (address, self.length)


def parse(text: bytes) -> tuple[int, int] | None:
    """(V4 or V6, the number) of an address; None where it is none."""
    if b":" not in text:
        number = parse_v4(text)
        return None if number is None else (V4, number)
    number = parse_v6(text)
    if number is None:
        return None
    return (V4, number ^ MAPPED) if number >> V4 == MAPPED >> V4 else (V6, number)


def parse_v4(text: bytes) -> int | None:
    """The number of a dotted quad."""
    octets = text.split(b".")
    return _number(octets) if len(octets) == 4 else None


def parse_v6(text: bytes) -> int | None:
    """The number of an IPv6 address; one that stands for an IPv4 address is not taken for it here."""
    if b"." in text:
        before, _, quad = text.rpartition(b":")
        number = parse_v4(quad)
        if number is None:
            return None
        text = b"%s:%x:%x" % (before, number >> 16, number & 0xFFFF)
    before, gap, after = text.partition(b"::")
    left = before.split(b":") if before else []
    right = after.split(b":") if after else []
    missing = 8 - len(left) - len(right)
    if missing < 1 if gap else missing:
        return None
    number = 0
    for group in [*left, *[b"0"] * missing, *right]:
        if not 1 <= len(group) <= 4 or group.strip(HEXADECIMAL):
            return None
        number = number << 16 | int(group, 16)
    return number


def parse_network(text: bytes) -> tuple[Network, bool] | None:
    """A network ADDRESS/LENGTH or an address, and whether bits beyond its length were set; None where it is none.

    An IPv6 address may stand in brackets, alone or with its length. An IPv4 network may end with a dot or lack numbers
    at its end, which are 0: `127./8`, `192.168/16`.
    """
    if text[:1] == b"[":
        inside, bracket, rest = text[1:].partition(b"]")
        if not bracket or b":" not in inside or rest[:1] not in (b"", b"/"):
            return None
        text = inside + rest
    address, slash, digits = text.partition(b"/")
    length = LENGTHS.get(digits) if slash else V6
    if length is None:
        return None
    if b":" in address:
        number = parse_v6(address)
        return None if number is None else _unmapped(number, length)
    if not slash:
        number = parse_v4(address)
        return None if number is None else (Network(V4, number, V4), False)
    octets = address.removesuffix(b".").split(b".")
    number = _number(octets + [b"0"] * (4 - len(octets)))
    return None if number is None or length > V4 or len(octets) > 4 else _masked(V4, number, length)


def to_text(bits: int, number: int) -> bytes:
    """An address of either kind as text."""
    return format_v4(number) if bits == V4 else format_v6(number)


def format_v4(number: int) -> bytes:
    """A dotted quad."""
    return b"%d.%d.%d.%d" % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)


def format_v6(number: int) -> bytes:
    """Lower case, no leading zeros, the longest run of zero groups (the first of several) as "::"."""
    digits = b"%032x" % number
    text = b"".join([b":" + (digits[at : at + 4].lstrip(b"0") or b"0") for at in range(0, 32, 4)])
    for run in ZEROS:
        # No group but zero begins with a zero, so these are whole groups.
        at = text.find(run)
        if at >= 0:
            return text[1:at] + b"::" + text[at + len(run) + 1 :]
    return text[1:]


def nibbles(number: int) -> bytes:
    """The hexadecimal digits of an IPv6 address, the last first, dots between them: RFC 3596, section 2.5."""
    digits = b"%032x" % number
    return b".".join([digits[at : at + 1] for at in range(31, -1, -1)])


def mask(bits: int, number: int, length: int) -> int:
    """The number with all bits beyond the length 0."""
    rest = bits - length
    return number >> rest << rest


def _masked(bits: int, number: int, length: int) -> tuple[Network, bool]:
    kept = mask(bits, number, length)
    return Network(bits, kept, length), kept != number


def _unmapped(number: int, length: int) -> tuple[Network, bool]:
    if length >= V6 - V4 and number >> V4 == MAPPED >> V4:
        return _masked(V4, number ^ MAPPED, length - (V6 - V4))
    return _masked(V6, number, length)


def _number(octets: Iterable[bytes]) -> int | None:
    number = 0
    for octet in octets:
        value = OCTETS.get(octet)
        if value is None:
            return None
        number = number << 8 | value
    return number
