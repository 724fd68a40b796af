"""Rules for TCP connections: the lines of tcp.smtp, what tcprules makes of them, and what tcpserver finds in that.

Follows tcprules(1), tcpserver(1) and the programs of ucspi-tcp 0.88. A line is `ADDRESS:allow` or `ADDRESS:deny`, then
any number of `,VARIABLE=xVALUEx`, where x is whatever byte comes first. Lines that begin with "#", and lines without a
colon, say nothing; spaces and tabs at the end of a line do not count, all others do. An ADDRESS with neither "=" nor
"@" may have one number replaced by a range, `1.2.3-7.`: a rule for each.

In the cdb an address is a key, and its data are fields that end with NUL: "D" to deny, "+VARIABLE=VALUE" to set.

Beyond ucspi-tcp 0.88 an ADDRESS may be a network with its length, or an IPv6 address or network, alone or in brackets.
The original ends the address at the first colon of a line. Where "allow" or "deny" follows that, so it is here, and the
line means what it always did. Where not, the original has no rule, and here the address ends at the colon before the
first `allow` or `deny`: no IPv6 address contains those letters, so there is one way to read a line.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.rulebatch import Ways
from svtree.formats.rulekeys import (
    NETWORKS,
    Unclear,
    candidates,
    is_ipv6,
    keys,
    lengths,
    network_keys,
    pack_lengths,
    resolve,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from svtree.formats.rulebatch import Columns
    from svtree.formats.rulekeys import Get, Lengths

ALLOW = b"allow"
DENY = b"deny"
BLANK = b" \t"
# What an IPv6 address, or a network, may be written with.
ADDRESS = b"0123456789abcdefABCDEF:./[]"
# Bytes of whole lines that are taken apart at one go, at most and at least, and so many keys that it pays to hash them.
BATCH = 65536
SHORTEST = 2048
MANY = 1024
# Blanks at the end of a line that are taken off in all lines at once.
FEW = 3


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


DEFAULT = Decision(None, False, ())


def parse(text: bytes) -> Iterator[Rule]:
    """The rules in a file, in order; RulesError at the first line that is none."""
    for number, whole in enumerate(text.split(b"\n"), 1):
        try:
            parts = split(whole)
            if parts is None:
                continue
            address, told = parts
            data = instructions(told)
            # The range is looked at for its errors; the rule keeps it as it was written.
            keys(address)
        except Unclear as error:
            raise RulesError(number, whole.rstrip(BLANK), str(error)) from None
        decision = decode(None, data)
        yield Rule(number, address, DENY if decision.deny else ALLOW, decision.environ)


def records(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What tcprules writes for these rules, (key, data) in its order; RulesError at the first line that is no rule."""
    for found, data in columns(text):
        yield from zip(found, data, strict=True)


def columns(text: bytes, beyond: set[tuple[int, int]] | None = None) -> Iterator[Columns]:
    """The same in batches: some keys, and as many data. Made for files of a million lines.

    The last record tells the lengths of networks. With `beyond` they are put there instead, as bits and length, by
    whoever compiles a part of the rules.

    Batches are as long as lines can be taken apart by the ways they go on after their addresses; after one with
    something else in it they are short for a while.
    """
    ways = Ways()
    seen: set[tuple[int, int]] = set() if beyond is None else beyond
    line = 1
    start = 0
    size = SHORTEST
    many: list[bytes] = []
    data: list[bytes] = []
    while start < len(text):
        end = text.rfind(b"\n", start, start + size) + 1 or text.find(b"\n", start + size) + 1 or len(text)
        batch = text[start:end]
        found = _plain_columns(_said(batch), ways, seen)
        if found is None and size > SHORTEST:
            size = max(size // 4, SHORTEST)
            continue
        size = min(size * 2, BATCH)
        found = found or _columns(batch, line, ways, seen)
        many += found[0]
        data += found[1]
        if len(many) >= MANY:
            yield many, data
            many, data = [], []
        line += batch.count(b"\n")
        start = end
    if seen and beyond is None:
        many.append(NETWORKS)
        data.append(pack_lengths(seen))
    yield many, data


def decide(
    get: Get, ip: bytes, host: bytes | None = None, info: bytes | None = None, there: Lengths | None = None
) -> Decision:
    """What the first rule that matches says to an IPv4 or IPv6 address.

    `get` is that of a cdb; what it raises is not caught. `there` is lengths(get), where that is known already.
    """
    for name in candidates(ip, host, info, lengths(get) if there is None else there):
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


def _said(batch: bytes) -> bytes:
    """A batch of lines without what says nothing, where that is found at once: comments, empty lines, a few blanks."""
    if batch[:1] == b"#" or b"\n#" in batch:
        batch = b"\n".join([line for line in batch.split(b"\n") if line[:1] != b"#"])
    for _ in range(FEW):
        if b" \n" not in batch and b"\t\n" not in batch:
            break
        batch = batch.replace(b" \n", b"\n").replace(b"\t\n", b"\n")
    while b"\n\n" in batch:
        batch = batch.replace(b"\n\n", b"\n")
    return batch.removeprefix(b"\n")


def _plain_columns(batch: bytes, ways: Ways, seen: set[tuple[int, int]]) -> Columns | None:
    """Keys and data of lines that are all rules telling what is known, as most are in a long file; None if not."""
    if not batch:
        return (), ()
    found = ways.columns(batch)
    if found is None:
        return None
    addresses, data = found
    special = {mark for mark in (b"#", b":", b"-", b"/") if mark in batch}
    if special == {b":"} and batch.count(b":") == len(addresses):
        return found
    written = b"".join(addresses)
    special = {mark for mark in special if mark in written}
    if not special:
        return found
    if b"#" in special or (b":" in special and (b":allow" in written or b":deny" in written)):
        return None
    if special == {b"/"}:
        return network_keys(addresses, seen), data
    try:
        return resolve(addresses, data, seen)
    except Unclear:
        return None


def _columns(batch: bytes, first: int, ways: Ways, seen: set[tuple[int, int]]) -> Columns:
    """Keys and data of any lines, of which the first has the number `first`; the ways they go on are known afterwards.

    The networks that have a key of their own are added to `seen`, each as its bits and length.
    """
    found: list[bytes] = []
    told_by: list[bytes] = []
    for number, whole in enumerate(batch.split(b"\n"), first):
        try:
            parts = split(whole)
            if parts is None:
                continue
            address, told = parts
            data = instructions(told)
            ways.learn(told)
            for key, kind in keys(address):
                if kind is not None:
                    seen.add(kind)
                found.append(key)
                told_by.append(data)
        except Unclear as error:
            raise RulesError(number, whole.rstrip(BLANK), str(error)) from None
    return found, told_by


def split(whole: bytes) -> tuple[bytes, bytes] | None:
    """The address of a line and what it tells; None for a line that says nothing."""
    if whole[:1] == b"#":
        return None
    line = whole.rstrip(BLANK)
    address, colon, told = line.partition(b":")
    if not colon:
        return None
    if told.startswith((ALLOW, DENY)):
        return address, told
    end = min([at for at in (line.find(b":" + action) for action in (ALLOW, DENY)) if at >= 0], default=-1)
    if end < 0:
        return address, told
    longer = line[:end]
    if longer.rpartition(b"@")[2].strip(ADDRESS):
        return address, told
    if not is_ipv6(longer):
        raise Unclear("an IPv6 address that is none")
    return longer, line[end + 1 :]


def instructions(told: bytes) -> bytes:
    """The data for what stands after the colon."""
    if told.startswith(DENY):
        fields, at = [b"D"], len(DENY)
    elif told.startswith(ALLOW):
        fields, at = [], len(ALLOW)
    else:
        raise Unclear("neither allow nor deny after the colon")
    while at < len(told):
        if told[at : at + 1] != b",":
            raise Unclear("a comma is missing")
        equals = told.find(b"=", at)
        if equals < 0:
            raise Unclear("a variable without =")
        quote = told[equals + 1 : equals + 2]
        if not quote:
            raise Unclear("a variable without value")
        close = told.find(quote, equals + 2)
        if close < 0:
            raise Unclear("missing closing quote")
        fields.append(b"+" + told[at + 1 : equals + 1] + told[equals + 2 : close])
        at = close + 1
    return b"".join([field + b"\0" for field in fields])
