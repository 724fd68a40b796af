"""The keys under which rules stand in a cdb: those an address of a rule has, and those a client is looked for under.

The keys of ucspi-tcp 0.88 are the addresses of rules as written, with ranges resolved. Beyond it there are networks and
IPv6 networks. IPv4 networks of 32, 24, 16 and 8 bits have the keys that a classic address or prefix has, so that old
readers know them. Every other network has its text in normal form as a key, `10.64.0.0/10`, `2001:db8::/32`, which old
readers never look for. Which lengths there are is said by the record NETWORKS, so that no others are looked for.

A client is looked for under its address first, then under its name, then under the networks it is in, longest first,
then under the ends of its name. An IPv4 client that came by IPv6 (::ffff:192.0.2.1) is an IPv4 client.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.networks import OCTETS, V4, V6
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from svtree.formats.networks import Network

    Get: TypeAlias = Callable[[bytes], bytes | None]
    Key: TypeAlias = tuple[bytes, tuple[int, int] | None]
    # What each of a dotted quad's numbers becomes, and the key's kind.
    Part: TypeAlias = dict[bytes, bytes]
    Cut: TypeAlias = tuple[Part, Part, Part, Part, tuple[int, int] | None]

# The key that has the lengths of networks as its data: "4/10 4/25 6/32". No address of a rule can be it.
NETWORKS = b":/"
# The lengths of IPv4 networks that are prefixes ending with a dot, and how many numbers those have.
CLASSIC = {24: 3, 16: 2, 8: 1}
# A dotted quad and a length, without its digits.
WHOLE = b".../\n"
DIGITS = b"0123456789"
TEXTS = tuple(OCTETS)
# By the digits of a network's length, as they are met: what makes its key of a dotted quad.
CUTS: dict[bytes, Cut] = {}
# scan_ulong counts in an unsigned long.
LONG = 1 << 64


@record
class Lengths:
    """The lengths of networks that rules are kept under, longest first.

    Where there are any of IPv4, those of the classic prefixes are among them.
    """

    v4: tuple[int, ...]
    v6: tuple[int, ...]


NO_LENGTHS = Lengths((), ())


class Unclear(Exception):  # noqa: N818 - becomes a RulesError where the line is known
    """Why a part of a line makes no sense."""


def lengths(get: Get) -> Lengths:
    """The lengths of networks in a cdb, whose `get` this is."""
    data = get(NETWORKS)
    if data is None:
        return NO_LENGTHS
    found = data.split(b" ")
    v4 = _lengths(found, b"4/", V4)
    return Lengths(_longest_first(v4 | set(CLASSIC) if v4 else v4), _longest_first(_lengths(found, b"6/", V6)))


def pack_lengths(found: set[tuple[int, int]]) -> bytes:
    """The data of the record NETWORKS, from the bits and lengths of networks."""
    return b" ".join([b"%d/%d" % (6 if bits == V6 else 4, length) for bits, length in sorted(found)])


def candidates(
    ip: bytes, host: bytes | None = None, info: bytes | None = None, there: Lengths = NO_LENGTHS
) -> Iterator[bytes]:
    """The keys that are looked for, best first, for a client with this IP, host name and ident answer.

    None is what is not known; an empty name is a name. `there` are the lengths of networks that there are rules for.
    An IPv6 address may be in any form and have a zone (%eth0), which does not count.
    """
    if b":" in ip:
        found = networks.parse(ip.partition(b"%")[0])
        if found is not None:
            ip = networks.to_text(*found)
    if info is not None:
        yield info + b"@" + ip
        if host is not None:
            yield info + b"@=" + host
    yield ip
    if host is not None:
        yield b"=" + host
    yield from _networks(ip, there)
    if host is not None:
        dot = host.find(b".")
        while dot >= 0:
            yield b"=" + host[dot:]
            dot = host.find(b".", dot + 1)
        yield b"="
    yield b""


def keys(address: bytes) -> Sequence[Key]:
    """The keys of an address: itself, or one for each number of its range; Unclear where that is none.

    With each the bits and length of its network, if that is one whose length is to be in the record NETWORKS.
    """
    if b":" in address:
        info, at, ip = address.rpartition(b"@")
        key, kind = _resolved(ip)
        return ((info + at + key, kind),)
    if not _is_range(address):
        return (_resolved(address) if b"/" in address else (address, None),)
    found = _numbers(address)
    return [_resolved(key) if b"/" in key else (key, None) for key in found]


def _is_range(address: bytes) -> bool:
    return b"-" in address and b"=" not in address and b"@" not in address


def _numbers(address: bytes) -> list[bytes]:
    """An address for each number of the range in this one."""
    before, _, after = address.partition(b"-")
    start, dot, low = before.rpartition(b".")
    high, point, rest = after.partition(b".")
    start, rest = start + dot, point + rest
    try:
        numbers = TEXTS[OCTETS[low] : OCTETS[high] + 1]
    except KeyError:
        numbers = TEXTS[_bound(low) : min(_bound(high), 255) + 1]
    return [start + number + rest for number in numbers]


def resolve(
    addresses: Sequence[bytes], data: Sequence[bytes], seen: set[tuple[int, int]]
) -> tuple[list[bytes], list[bytes]]:
    """The keys of many addresses, each with its data, and in `seen` the networks; Unclear where one is no address.

    An address with a colon must be one of IPv6.
    """
    found: list[bytes] = []
    told: list[bytes] = []
    kinds: set[tuple[int, int] | None] = set()
    for address, each in zip(addresses, data, strict=True):
        if b":" in address and not is_ipv6(address):
            raise Unclear("an IPv6 address that is none")
        if b":" in address or b"/" in address:
            pairs = keys(address)
            found += [key for key, _ in pairs]
            told += [each] * len(pairs)
            kinds.update([kind for _, kind in pairs])
        elif _is_range(address):
            numbers = _numbers(address)
            found += numbers
            told += [each] * len(numbers)
        else:
            found.append(address)
            told.append(each)
    seen.update([kind for kind in kinds if kind is not None])
    return found, told


def network_keys(addresses: Sequence[bytes], beyond: set[tuple[int, int]]) -> list[bytes]:
    """The keys of addresses and networks of which none is a range or of IPv6, and in `beyond` the networks."""
    found = _whole_keys(b"\n".join(addresses), len(addresses), beyond)
    if found is not None:
        return found
    pairs = [_resolved(address) if b"/" in address else (address, None) for address in addresses]
    beyond.update({kind for _, kind in pairs if kind is not None})
    return [key for key, _ in pairs]


def _whole_keys(text: bytes, count: int, beyond: set[tuple[int, int]]) -> list[bytes] | None:
    """The same for so many lines that are all a dotted quad and a length, as in lists of millions; None if not."""
    if text.translate(None, DIGITS) + b"\n" != WHOLE * count:
        return None
    words = text.replace(b"/", b".").replace(b"\n", b".").split(b".")
    first, second, third, fourth, digits = (words[at::5] for at in range(5))
    try:
        cuts = {each: _cut(each) for each in set(digits)}
        quads = zip(first, second, third, fourth, map(cuts.__getitem__, digits), strict=True)
        found = [one[a] + two[b] + three[c] + four[d] for a, b, c, d, (one, two, three, four, _) in quads]
    except KeyError:
        return None
    beyond.update([kind for *_, kind in cuts.values() if kind is not None])
    return found


def is_ipv6(address: bytes) -> bool:
    """Whether a rule may be for this address, which contains a colon; a user's address has no length."""
    _, user, ip = address.rpartition(b"@")
    found = networks.parse_network(ip)
    return found is not None and not (user and b"/" in ip)


def network_key(network: Network) -> bytes:
    """The key of a network: a classic prefix where it is one, an address where that is all of it, else its text."""
    numbers = CLASSIC.get(network.length) if network.bits == V4 else None
    return network.text if numbers is None else _prefix(networks.format_v4(network.number), numbers)


def _resolved(address: bytes) -> Key:
    """The key of an address or network in any form, and the bits and length of a network with a key of its own.

    What is neither is its own key, which is never looked for: so it is in the original.
    """
    try:
        # A whole dotted quad and a length: quicker than by numbers.
        ip, digits = address.split(b"/")
        first, second, third, fourth = ip.split(b".")
        one, two, three, four, kind = _cut(digits)
        return one[first] + two[second] + three[third] + four[fourth], kind
    except (KeyError, ValueError):
        pass
    found = networks.parse_network(address)
    if found is None:
        return address, None
    network, _ = found
    key = network_key(network)
    return key, (network.bits, network.length) if b"/" in key else None


def _cut(digits: bytes) -> Cut:
    """What a dotted quad's numbers become in the key of its network of this length; KeyError where that is none."""
    found = CUTS.get(digits)
    if found is None:
        length = networks.LENGTHS[digits]
        if length > V4:
            raise KeyError(digits)
        kind = None if length == V4 or length in CLASSIC else (V4, length)
        one, two, three, four = (_part(length, at, classic=kind is None) for at in range(4))
        found = CUTS[digits] = one, two, three, four, kind
    return found


def _part(length: int, at: int, *, classic: bool) -> Part:
    """What each number at one of the four places becomes in the key of its network."""
    mask = 0xFF00 >> min(max(length - 8 * at, 0), 8) & 0xFF
    if classic:
        # A prefix ends with a dot, a whole address does not.
        end = b"" if at == 3 else b"."
        return {octet: octet + end if mask else b"" for octet in OCTETS}
    end = b"/%d" % length if at == 3 else b"."
    return {octet: b"%d%b" % (number & mask, end) for octet, number in OCTETS.items()}


def _networks(ip: bytes, there: Lengths) -> Iterator[bytes]:
    """The keys of all networks that an address is in, longest first: those of these lengths, and classic prefixes."""
    if b":" in ip:
        number = networks.parse_v6(ip) if there.v6 else None
        if number is not None:
            for length in there.v6:
                yield b"%b/%d" % (networks.format_v6(networks.mask(V6, number, length)), length)
        return
    number = networks.parse_v4(ip) if there.v4 else None
    if number is None:
        end = len(ip)
        while (dot := ip.rfind(b".", 0, end)) >= 0:
            yield ip[: dot + 1]
            end = dot
        return
    for length in there.v4:
        numbers = CLASSIC.get(length)
        if numbers is not None:
            yield _prefix(ip, numbers)
        else:
            yield b"%b/%d" % (networks.format_v4(networks.mask(V4, number, length)), length)


def _prefix(ip: bytes, numbers: int) -> bytes:
    """The first one, two or three numbers of a dotted quad, and the dot after them."""
    return ip.rsplit(b".", 4 - numbers)[0] + b"."


def _lengths(found: list[bytes], kind: bytes, bits: int) -> set[int]:
    """The lengths of one kind of networks; what makes no sense (another version's, or damage) is left out."""
    numbers = (networks.LENGTHS.get(each[2:]) for each in found if each[:2] == kind)
    return {each for each in numbers if each is not None and each < bits}


def _longest_first(numbers: set[int]) -> tuple[int, ...]:
    return tuple(sorted(numbers, reverse=True))


def _bound(text: bytes) -> int:
    """One end of a range as scan_ulong reads it: nothing is 0, a NUL ends it, and it counts modulo 2^64."""
    value = 0
    for byte in text.partition(b"\0")[0]:
        if not 48 <= byte <= 57:
            raise Unclear("a range that is not of numbers")
        value = (value * 10 + byte - 48) % LONG
    return value
