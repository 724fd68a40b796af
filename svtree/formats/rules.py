"""Rules for TCP connections: the lines of tcp.smtp, what tcprules makes of them, and what tcpserver finds in that.

Follows tcprules(1), tcpserver(1) and the programs of ucspi-tcp 0.88. A line is `ADDRESS:allow` or `ADDRESS:deny`, then
any number of `,VARIABLE=xVALUEx`, where x is whatever byte comes first. Lines that begin with "#", and lines without a
colon, say nothing; spaces and tabs at the end of a line do not count, all others do. An ADDRESS with neither "=" nor
"@" may have one number replaced by a range, `1.2.3-7.`: a rule for each.

In the cdb an address is a key, and its data are fields that end with NUL: "D" to deny, "+VARIABLE=VALUE" to set.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALLOW = b"allow"
DENY = b"deny"
BLANK = b" \t"
# scan_ulong counts in an unsigned long.
LONG = 1 << 64
# Lines that are read at one go if they are all plain.
BATCH = 512


@record
class Rule:
    """One line that says something: its number (from 1), its address as written, and what it decides."""

    line: int
    address: bytes
    action: bytes
    environ: tuple[tuple[bytes, bytes], ...]


@record
class Decision:
    """What the rules say to a connection; `name` is the rule's address, None where no rule matched (then it may in)."""

    name: bytes | None
    deny: bool
    environ: tuple[tuple[bytes, bytes], ...]


class RulesError(Exception):
    """A line is no rule: its number (from 1), the line without blanks at its end, and the reason."""

    def __init__(self, line: int, text: bytes, reason: str) -> None:
        """`reason` is a few words without the line's number."""
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.text = text
        self.reason = reason


class _Unclear(Exception):  # noqa: N818 - becomes a RulesError where the line is known
    """Why a part of a line makes no sense."""


DEFAULT = Decision(None, False, ())


def parse(text: bytes) -> Iterator[Rule]:
    """The rules in a file, in order; RulesError at the first line that is none."""
    for number, whole in enumerate(text.split(b"\n"), 1):
        split = _split(whole)
        if split is None:
            continue
        address, told = split
        try:
            data = _data(told)
            # The range is looked at for its errors; the rule keeps it as it was written.
            next(_keys(address), None)
        except _Unclear as error:
            raise RulesError(number, whole.rstrip(BLANK), str(error)) from None
        decision = decode(None, data)
        yield Rule(number, address, DENY if decision.deny else ALLOW, decision.environ)


def records(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What tcprules writes for these rules, (key, data) in its order; RulesError at the first line that is no rule.

    Made for long files: what a rule tells is worked out once for all rules that tell the same.
    """
    known: dict[bytes, bytes] = {}
    lines = text.split(b"\n")
    for start in range(0, len(lines), BATCH):
        batch = lines[start : start + BATCH]
        yield from _known_records(batch, known) or _records(batch, start + 1, known)


def candidates(ip: bytes, host: bytes | None = None, info: bytes | None = None) -> Iterator[bytes]:
    """The addresses that are looked for, best first, for a client with this IP, host name and ident answer.

    None is what is not known; an empty name is a name.
    """
    if info is not None:
        yield info + b"@" + ip
        if host is not None:
            yield info + b"@=" + host
    yield ip
    if host is not None:
        yield b"=" + host
    end = len(ip)
    while (dot := ip.rfind(b".", 0, end)) >= 0:
        yield ip[: dot + 1]
        end = dot
    if host is not None:
        dot = host.find(b".")
        while dot >= 0:
            yield b"=" + host[dot:]
            dot = host.find(b".", dot + 1)
        yield b"="
    yield b""


def decide(
    get: Callable[[bytes], bytes | None], ip: bytes, host: bytes | None = None, info: bytes | None = None
) -> Decision:
    """What the first rule that matches says; `get` is that of a cdb, and what it raises is not caught."""
    for name in candidates(ip, host, info):
        data = get(name)
        if data is not None:
            return decode(name, data)
    return DEFAULT


def decode(name: bytes | None, data: bytes) -> Decision:
    """What the data of the rule `name` mean. Fields of other kinds say nothing; a later variable outdoes an earlier."""
    deny = False
    environ = []
    for field in fields(data):
        if field[:1] == b"D":
            deny = True
        elif field[:1] == b"+":
            variable, equals, value = field[1:].partition(b"=")
            if equals:
                environ.append((variable, value))
    return Decision(name, deny, tuple(environ))


def fields(data: bytes) -> list[bytes]:
    """The fields of a rule's data; what comes after the last NUL is none."""
    return data.split(b"\0")[:-1]


def _known_records(lines: list[bytes], known: dict[bytes, bytes]) -> list[tuple[bytes, bytes]] | None:
    """The records of lines that are all plain rules telling what is known, as most are in a long file; else None."""
    parts = [line.partition(b":") for line in lines]
    addresses = [address for address, _, _ in parts]
    written = b"".join(addresses)
    if b"-" in written or b"#" in written:
        return None
    try:
        return list(zip(addresses, [known[told] for _, _, told in parts], strict=True))
    except KeyError:
        return None


def _records(lines: list[bytes], first: int, known: dict[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The records of any lines, of which the first has the number `first`; what they tell is known afterwards."""
    for number, whole in enumerate(lines, first):
        split = _split(whole)
        if split is None:
            continue
        address, told = split
        try:
            data = known.get(told)
            if data is None:
                data = known[told] = _data(told)
            for key in _keys(address):
                yield key, data
        except _Unclear as error:
            raise RulesError(number, whole.rstrip(BLANK), str(error)) from None


def _split(whole: bytes) -> tuple[bytes, bytes] | None:
    """The address of a line and what it tells; None for a line that says nothing."""
    if whole[:1] == b"#":
        return None
    address, colon, told = whole.rstrip(BLANK).partition(b":")
    return (address, told) if colon else None


def _data(told: bytes) -> bytes:
    """The data for what stands after the colon."""
    if told.startswith(DENY):
        fields, at = [b"D"], len(DENY)
    elif told.startswith(ALLOW):
        fields, at = [], len(ALLOW)
    else:
        raise _Unclear("neither allow nor deny after the colon")
    while at < len(told):
        if told[at : at + 1] != b",":
            raise _Unclear("a comma is missing")
        equals = told.find(b"=", at)
        if equals < 0:
            raise _Unclear("a variable without =")
        quote = told[equals + 1 : equals + 2]
        if not quote:
            raise _Unclear("a variable without value")
        close = told.find(quote, equals + 2)
        if close < 0:
            raise _Unclear("missing closing quote")
        fields.append(b"+" + told[at + 1 : equals + 1] + told[equals + 2 : close])
        at = close + 1
    return b"".join([field + b"\0" for field in fields])


def _keys(address: bytes) -> Iterator[bytes]:
    """The keys of an address: itself, or one for each number of its range."""
    dash = address.find(b"-")
    if dash < 0 or b"=" in address or b"@" in address:
        yield address
        return
    left = address.rfind(b".", 0, dash) + 1
    right = address.find(b".", dash + 1)
    if right < 0:
        right = len(address)
    first = _bound(address[left:dash])
    last = min(_bound(address[dash + 1 : right]), 255)
    for number in range(first, last + 1):
        yield b"%s%d%s" % (address[:left], number, address[right:])


def _bound(text: bytes) -> int:
    """One end of a range as scan_ulong reads it: nothing is 0, a NUL ends it, and it counts modulo 2^64."""
    value = 0
    for byte in text.partition(b"\0")[0]:
        if not 48 <= byte <= 57:
            raise _Unclear("a range that is not of numbers")
        value = (value * 10 + byte - 48) % LONG
    return value
