"""DNS messages, as far as a TCP server needs them: one question, and the A, AAAA, PTR or TXT records in the answer.

Follows RFC 1035 for what is on the wire and the DNS library of ucspi-tcp 0.88 for what is made of it: a name is shown
in lower case with every byte outside a-z, 0-9, "-" and "_" as a backslash and three octal digits; names are qualified
by the rules of dns_ip4_qualify. A message is untrusted: whatever its bytes are, the outcome is records or DnsError.
"""

from __future__ import annotations

from struct import Struct

from svtree.formats import networks
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

A = 1
PTR = 12
TXT = 16
AAAA = 28
INTERNET = 1

HEADER = Struct("!HHHHHH")
RECORD = Struct("!HHIH")
QUESTION = Struct("!HH")

RECURSION_DESIRED = 0x0100
TRUNCATED = 0x0200
RESPONSE = 0x8000
NO_SUCH_NAME = 3
# More jumps than this in one name are a loop.
JUMPS = 100
_PRINTED = bytes(byte if 32 <= byte <= 126 else 63 for byte in range(256))
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


class DnsError(Exception):
    """The bytes are no DNS message, or the text is no domain name."""


@record
class Answer:
    """The response to one question: whether it was cut short, its RCODE, and (type, data position, data) of records."""

    truncated: bool
    code: int
    records: tuple[tuple[int, int, bytes], ...]
    message: bytes


def encode(name: bytes) -> bytes:
    """The wire form of a name in dots; DnsError where a label is over 63 bytes or the whole over 255."""
    wire = bytearray()
    label = bytearray()
    at = 0
    while at <= len(name):
        byte = name[at] if at < len(name) else 46
        at += 1
        if byte == 46:
            if len(label) > 63:
                raise DnsError("a label of more than 63 bytes")
            if label:
                wire.append(len(label))
                wire += label
                label.clear()
            continue
        if byte == 92 and at < len(name):
            byte, at = _escaped(name, at)
        label.append(byte)
    wire.append(0)
    if len(wire) > 255:
        raise DnsError("a name of more than 255 bytes")
    return bytes(wire)


def reverse(ip: bytes) -> bytes:
    """The name under which the host name of an address is found: RFC 1035, 3.5, and RFC 3596, 2.5."""
    if b":" in ip:
        return networks.nibbles(networks.parse_v6(ip) or 0) + b".ip6.arpa"
    return b".".join(reversed(ip.split(b"."))) + b".in-addr.arpa"


def question(number: int, name: bytes, kind: int) -> bytes:
    """A recursive query with this id; `name` in wire form."""
    return HEADER.pack(number, RECURSION_DESIRED, 1, 0, 0, 0) + name + QUESTION.pack(kind, INTERNET)


def parse(message: bytes, number: int, name: bytes, kind: int) -> Answer | None:
    """The answer in a message, or None where it does not answer this question; DnsError where it is malformed."""
    if len(message) < HEADER.size:
        raise DnsError("shorter than a header")
    found, flags, questions, answers, _, _ = HEADER.unpack_from(message)
    if found != number or questions != 1 or not flags & RESPONSE:
        return None
    asked, at = _name(message, HEADER.size)
    # Case does not count: some servers keep it, some do not.
    if asked.lower() != name.lower() or message[at : at + 4] != QUESTION.pack(kind, INTERNET):
        return None
    at += 4
    if flags & TRUNCATED:
        return Answer(True, flags & 15, (), message)
    records = []
    for _ in range(answers):
        _, at = _name(message, at)
        if at + RECORD.size > len(message):
            raise DnsError("a record that is cut off")
        which, family, _, size = RECORD.unpack_from(message, at)
        at += RECORD.size
        if at + size > len(message):
            raise DnsError("a record's data are cut off")
        if which == kind and family == INTERNET:
            records.append((which, at, message[at : at + size]))
        at += size
    return Answer(False, flags & 15, tuple(records), message)


def addresses(answer: Answer) -> list[bytes]:
    """The IPv4 addresses in an answer, in dots, in its order."""
    return [b"%d.%d.%d.%d" % tuple(data) for kind, _, data in answer.records if kind == A and len(data) == 4]


def addresses6(answer: Answer) -> list[bytes]:
    """The IPv6 addresses in an answer, as text, in its order."""
    found = [int.from_bytes(data, "big") for kind, _, data in answer.records if kind == AAAA and len(data) == 16]
    return [networks.to_text(networks.V6, number) for number in found]


def pointer(answer: Answer) -> bytes | None:
    """The first host name in an answer to a PTR question."""
    for kind, at, _ in answer.records:
        if kind == PTR:
            return _dotted(_name(answer.message, at)[0])
    return None


def text(answer: Answer) -> bytes:
    """The texts of all TXT records in an answer, one after another; "?" stands for what cannot be printed."""
    found = bytearray()
    for kind, _, data in answer.records:
        at = 0
        while kind == TXT and at < len(data):
            found += data[at + 1 : at + 1 + data[at]]
            at += 1 + data[at]
    return bytes(found).translate(_PRINTED)


def literal(name: bytes) -> bytes | None:
    """The IPv4 address that `name` is, as dns_ip4 reads it: digits and dots, brackets allowed, four numbers mod 256."""
    bare = name.replace(b"[", b"").replace(b"]", b"")
    if any(byte != 46 and not 48 <= byte <= 57 for byte in bare):
        return None
    # An empty number is 0, and one of 40 digits is what is left of it.
    numbers = [int(part[-40:] or b"0") % 256 for part in bare.split(b".")]
    return b"%d.%d.%d.%d" % tuple(numbers[:4]) if len(numbers) >= 4 else b""


def qualify(name: bytes, rules: Iterable[bytes]) -> list[bytes]:
    """The names to try for `name`, in order, after the rewriting rules of dns_ip4_qualify_rules."""
    for rule in rules:
        name = _rewritten(name, rule)
    first, *suffixes = name.split(b"+")
    return [first + suffix for suffix in suffixes] or [first]


def _rewritten(name: bytes, rule: bytes) -> bytes:
    kind = rule[:1]
    pattern, colon, new = rule[1:].partition(b":")
    if not colon or kind not in (b"?", b"=", b"*", b"-") or len(name) < len(pattern):
        return name
    before = name[: len(name) - len(pattern)]
    if name[len(before) :].lower() != pattern.lower() or (kind == b"=" and before):
        return name
    if kind == b"?" and any(mark in before for mark in (b".", b"[", b"]")):
        return name
    return new if kind == b"-" else before + new


def _escaped(name: bytes, at: int) -> tuple[int, int]:
    """The byte after a backslash at `at` - 1, up to three octal digits of it, and where it ends."""
    end = at
    while end < min(at + 3, len(name)) and 48 <= name[end] <= 55:
        end += 1
    if end == at:
        return name[at], at + 1
    return int(name[at:end], 8) & 255, end


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """The name at a place in a message, uncompressed, and where what follows it begins."""
    wire = bytearray()
    after = 0
    for _ in range(JUMPS + 128):
        if at >= len(message):
            raise DnsError("a name that is cut off")
        size = message[at]
        if size >= 192:
            if at + 1 >= len(message):
                raise DnsError("a name that is cut off")
            after = after or at + 2
            at = (size - 192) << 8 | message[at + 1]
            continue
        if size >= 64:
            raise DnsError("a label of an unknown kind")
        wire += message[at : at + 1 + size]
        at += 1 + size
        if len(wire) > 255 or at > len(message):
            raise DnsError("a name that is too long")
        if not size:
            return bytes(wire), after or at
    raise DnsError("a name that points to itself")


def _dotted(wire: bytes) -> bytes:
    """A wire name in dots; the root is "."."""
    labels = []
    at = 0
    while wire[at]:
        label = wire[at + 1 : at + 1 + wire[at]].lower()
        labels.append(b"".join(bytes((byte,)) if byte in PLAIN else b"\\%03o" % byte for byte in label))
        at += 1 + wire[at]
    return b".".join(labels) or b"."
