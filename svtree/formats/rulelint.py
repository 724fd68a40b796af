"""What is wrong with rules that compile: lines that match nobody, say nothing, or say what nobody can have meant.

Nothing here changes what rules do. A finding is a WARNING where the line is surely a mistake, so that correct files
have none (tcprules prints those), a NOTE where it may be meant, and an ERROR where it is no rule.

Follows tcprules(1): its own traps are what is looked for. Prefixes end with a dot; names begin with "="; spaces count;
of two rules for one address the first one holds, whatever stands between them; the order of others does not matter.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.networks import V4, V6
from svtree.formats.record import record
from svtree.formats.rulekeys import Unclear, keys
from svtree.formats.rules import instructions, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    # A network's bits, number and length. Not a Network: many are made, sorted and compared here.
    Place: TypeAlias = tuple[int, int, int]

ERROR = "error"
WARNING = "warning"
NOTE = "note"
# As much of an address or a name as a message shows.
SHOWN = 60
RELAY = b"RELAYCLIENT"
# Variables that programs ask for; written otherwise they set nothing that anybody reads.
VARIABLES = frozenset({RELAY, b"RBLSMTPD", b"DATABYTES", b"MAXCONNIP", b"MAXCONNC", b"MAXLOAD", b"DIEMSG"})
# So many different instructions are remembered: where there are more, they are as a rule all different.
KNOWN = 1024
# An address like any other.
LOOPBACK = b"127.0.0.1"
# What a host name is written with.
NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
# Networks this short are no one's: a good part of all addresses of their kind.
VAST = {V4: 7, V6: 3}


@record
class Finding:
    """A line's number (from 1), how bad it is (ERROR, WARNING, NOTE), and why, in words without the number."""

    line: int
    severity: str
    text: str


def lint(text: bytes) -> list[Finding]:
    """What there is to say about these rules, in the order of their lines."""
    found: list[Finding] = []
    first: dict[bytes, int] = {}
    places: dict[Place, int] = {}
    well_told: set[bytes] = set()
    for number, whole in enumerate(text.split(b"\n"), 1):
        address, _, told = whole.partition(b":")
        ip = networks.parse_v4(address)
        # Most lines of a long list are about a whole address, and can only be wrong in few ways.
        if ip is not None and (told in well_told or _is_well_told(told)):
            if len(well_told) < KNOWN:
                well_told.add(told)
            if first.setdefault(address, number) != number:
                found += [Finding(number, WARNING, each) for each in _repeated(address, [address], first, number)]
            places.setdefault((V4, ip, V4), number)
            continue
        found += [Finding(number, severity, each) for severity, each in _line(whole, number, first, places)]
    found += [
        Finding(places[each], WARNING, "never matches: more exact rules cover all of it") for each in _covered(places)
    ]
    found += _apart(first)
    found.sort(key=lambda each: each.line)
    return found


def _line(whole: bytes, number: int, first: dict[bytes, int], places: dict[Place, int]) -> Iterator[tuple[str, str]]:
    """About one line; what it decides about is noted in `first` and `places`, for the lines after it."""
    try:
        parts = split(whole)
        if parts is None:
            yield from [(WARNING, each) for each in _silent(whole)]
            return
        address, told = parts
        data = instructions(told)
        its_keys = [key for key, _ in keys(address)]
    except Unclear as error:
        hint = ", and the line ends with a carriage return" if whole.endswith(b"\r") else ""
        yield ERROR, f"{error}{hint}"
        return
    if data:
        yield from _instructions(address, data)
    its_places = [_place(key) for key in its_keys]
    never = None if any(its_places) else _never(address, its_keys)
    if never is not None:
        yield WARNING, never
        return
    yield from _address(address)
    yield from [(WARNING, each) for each in _repeated(address, its_keys, first, number)]
    for place in its_places:
        if place is not None:
            places.setdefault(place, number)


def _is_well_told(told: bytes) -> bool:
    """Whether there is nothing to say about these instructions, said to one address."""
    try:
        data = instructions(told)
    except Unclear:
        return False
    return not data or next(_instructions(LOOPBACK, data), None) is None


def _silent(whole: bytes) -> Iterator[str]:
    """About a line without a rule."""
    line = whole.strip(b" \t\r")
    if line and not line.startswith(b"#"):
        yield "there is no colon, so the line says nothing"


def _never(address: bytes, its_keys: list[bytes]) -> str | None:
    """Why no client can match this address, which stands for no place; None if one can."""
    if not its_keys:
        return "an empty range: the line says nothing"
    # The keys of a range are all of one form.
    key = its_keys[-1]
    if not key:
        return None
    if address[:1] == b"=":
        why = _bad_name(key[1:])
    elif b"@" in key:
        why = _bad_user(key)
    else:
        why = _bad_ip(address, key)
    return None if why is None else f"never matches: {why}"


def _bad_name(host: bytes) -> str | None:
    """What is wrong with a host name or the end of one."""
    if not host:
        return None
    if host != host.strip() or b" " in host or b"\t" in host:
        return "a space is in the name"
    if host != host.lower():
        return f"names of clients are in small letters, ={_show(host.lower())}"
    if b"*" in host:
        return f"there are no wildcards; the end of a name begins with a dot, =.{_show(host.lstrip(b'*.'))}"
    if host.endswith(b"."):
        return f"names of clients have no dot at their end, ={_show(host.rstrip(b'.'))}"
    if networks.parse(host) is not None:
        return f"that is an address, not a name; without =, {_show(host)}"
    return None


def _bad_user(key: bytes) -> str | None:
    """What is wrong with INFO@ADDRESS or INFO@=NAME."""
    _, _, at = key.rpartition(b"@")
    if at[:1] == b"=":
        if not at[1:] or at[1:2] == b".":
            return "after @= a whole name is needed"
        return _bad_name(at[1:])
    if networks.parse(at) is not None:
        return None
    if at and not at.strip(b"0123456789./-*"):
        return "after @ a whole address is needed"
    return f"after @ there must be an address, or = and a name, @={_show(at)}"


def _bad_ip(address: bytes, key: bytes) -> str:
    """What is wrong with an address that is none."""
    if key != key.strip() or b" " in key or b"\t" in key:
        return "a space is in the address"
    if b"/" in key:
        return _bad_length(key)
    if b"[" in key or b"]" in key:
        return "brackets are for IPv6"
    if b"*" in key:
        shorter = key.partition(b"*")[0]
        return f"there are no wildcards; a prefix ends with a dot, {_show(shorter) or 'the empty address'}"
    octets = key.split(b".")
    whole = octets[:-1] if not octets[-1] else octets
    if not key.strip(b"0123456789."):
        if len(octets) < 4 and octets[-1] and all(each in networks.OCTETS for each in octets):
            return f"a prefix ends with a dot, {_show(address)}."
        if any(each not in networks.OCTETS for each in whole):
            return "the numbers of an address are 0 to 255, without zeros before them"
        return "an address has four numbers; a prefix has fewer and ends with a dot"
    if key[:1].isdigit() and b"-" in key:
        return "only one number can be a range"
    if key[:1].isdigit() or key.strip(NAME):
        return "that is no address"
    return f"that is no address; a name comes after =, ={_show(key.lower())}"


def _bad_length(key: bytes) -> str:
    """What is wrong with ADDRESS/LENGTH."""
    before, _, after = key.partition(b"/")
    mask = networks.parse_v4(after)
    if mask is not None and networks.parse_v4(before) is not None:
        length = mask.bit_count()
        if networks.mask(V4, (1 << V4) - 1, length) == mask:
            return f"the mask of a network is a length, {_show(before)}/{length}"
    if after.isdigit():
        return "the length of an IPv4 network is 0 to 32"
    return "that is no network: ADDRESS/LENGTH"


def _address(address: bytes) -> Iterator[tuple[str, str]]:
    """About an address that matches somebody, but perhaps not who was meant."""
    if b"-" in address and b"=" not in address and b"@" not in address:
        last = address.partition(b"-")[2].partition(b".")[0]
        if len(last) > 3 or (last.isdigit() and int(last) > 255):
            yield WARNING, "a range ends at 255"
        return
    ip = address.rpartition(b"@")[2]
    if b"/" not in ip and b":" not in ip:
        return
    found = networks.parse_network(ip)
    if found is None:
        return
    network, changed = found
    if changed:
        yield WARNING, f"bits beyond the length do not count; this is {_show(network.text)}"
    elif network.bits == V6 and network.length == V6 and network.number and ip.rstrip(b"]").endswith(b"::"):
        yield (
            WARNING,
            f"matches that one address, which is no client's; a network has a length, {_show(network.text)}/64",
        )


def _instructions(address: bytes, data: bytes) -> Iterator[tuple[str, str]]:
    """About the variables a rule sets."""
    names: dict[bytes, bytes] = {}
    for field in data.split(b"\0"):
        if field[:1] != b"+":
            continue
        name, _, value = field[1:].partition(b"=")
        if name in names:
            yield WARNING, f"{_show(name)} is set twice; the last value counts"
        names[name] = value
        if not name:
            yield WARNING, "a variable without a name"
        elif name != name.strip(b" \t") or b" " in name:
            yield WARNING, f'the name of the variable is "{_show(name)}": spaces count, leave them out'
        elif name not in VARIABLES and name.upper() in VARIABLES:
            yield WARNING, f"the variable {_show(name)} is not {_show(name.upper())}"
    if data[:1] == b"D" or RELAY not in names:
        return
    if names[RELAY] != names[RELAY].strip(b" \t"):
        yield WARNING, "RELAYCLIENT with a space adds that space to every recipient; it is to be empty"
    who = _everybody(address)
    if who:
        yield WARNING, f"lets {who} send mail to anywhere: an open relay"


def _everybody(address: bytes) -> str:
    """In words who matches an address of far too many; empty where they are not."""
    if not address:
        return "everybody"
    if address == b"=":
        return "everybody who has a host name"
    found = networks.parse_network(address) if b"/" in address else None
    if found is None or found[0].length > VAST[found[0].bits]:
        return ""
    kind = "IPv4" if found[0].bits == V4 else "IPv6"
    return f"everybody who comes by {kind}" if not found[0].length else f"a good part of all {kind} addresses"


def _repeated(address: bytes, its_keys: list[bytes], first: dict[bytes, int], number: int) -> Iterator[str]:
    """About an address that an earlier line has decided about; takes note of this one."""
    earlier = {first.setdefault(key, number) for key in its_keys}
    if number not in earlier:
        lines = sorted(earlier)
        where = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} to {lines[-1]}"
        yield f"never matches: {where} came first for {_show(address) or 'the empty address'}"


def _place(key: bytes) -> Place | None:
    """The addresses a key stands for; None if it is for names or users, is empty, or matches nobody."""
    number = networks.parse_v4(key)
    if number is not None:
        return V4, number, V4
    if key[-1:] == b"." and key.count(b".") < 4:
        octets = key.count(b".")
        number = networks.parse_v4(key[:-1] + b".0" * (4 - octets))
        return None if number is None else (V4, number, 8 * octets)
    found = networks.parse_network(key) if b"/" in key or b":" in key else None
    return None if found is None else (found[0].bits, found[0].number, found[0].length)


def _covered(places: dict[Place, int]) -> Iterator[Place]:
    """The networks all of whose addresses are in longer ones."""
    # Networks contain each other or are apart, so in this order a network is followed by what it contains, and those
    # directly in it are apart: it is covered if their sizes make up its own.
    around: list[Place] = []
    inside: list[int] = []
    for place in [*sorted(places), None]:
        while around and (place is None or not _contains(around[-1], place)):
            outer = around.pop()
            size = 1 << outer[0] - outer[2]
            if inside.pop() == size:
                yield outer
            if inside:
                inside[-1] += size
        if place is not None:
            around.append(place)
            inside.append(0)


def _contains(outer: Place, inner: Place) -> bool:
    bits, number, length = outer
    return bits == inner[0] and (number ^ inner[1]) >> bits - length == 0


def _apart(first: dict[bytes, int]) -> Iterator[Finding]:
    """Notes about names whose ends have a rule and which have none themselves."""
    for key, number in first.items():
        if key[:2] == b"=." and b"=" + key[2:] not in first:
            yield Finding(number, NOTE, f"does not match {_show(key[2:])} itself; that would be ={_show(key[2:])}")


def _show(text: bytes) -> str:
    """What a person can read of it."""
    shown = text[:SHOWN].decode("utf-8", "replace") + ("..." if len(text) > SHOWN else "")
    return "".join(letter if letter.isprintable() else "?" for letter in shown)
