"""What an import is going to write, and what it cannot: filled by svtree.relay.sendmail, .postfix and .aliases. Pure.

Rules are kept by the key that tcprules gives their address, so that each has one decision: the first that is told.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.networks import V4
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

RELAY = b'allow,RELAYCLIENT=""'
ALLOW = b"allow"
DENY = b"deny"
# A host or domain: anything else in a rule or control file would not mean what it says.
LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"


@record
class Remark:
    """A line that is not carried, or not wholly, and why. Line 0: the file as a whole."""

    source: str
    line: int
    text: bytes
    reason: str


class Draft:
    """The files of a tree that an import makes, and its remarks."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.rules: dict[bytes, bytes] = {}
        # Control files by name; a name with a slash is below QMAILHOME.
        self.controls: dict[str, dict[bytes, None]] = {}
        self.aliases: dict[bytes, list[bytes]] = {}
        self.remarks: list[Remark] = []

    def rule(self, address: bytes, told: bytes) -> bool:
        """Decide about an address, unless that is decided; whether it was not."""
        return self.rules.setdefault(address, told) is told

    def control(self, name: str, *lines: bytes) -> None:
        """Add lines to a control file, each once."""
        self.controls.setdefault(name, {}).update(dict.fromkeys(lines))

    def relay_domain(self, domain: bytes) -> None:
        """Take mail for a domain and what is below it; for one with a dot before it, for what is below it alone."""
        name = domain.removeprefix(b".")
        self.control("rcpthosts", *([name] if name == domain else []), b"." + name)

    def remark(self, source: str, line: int, text: bytes, reason: str) -> None:
        """Say what is not carried."""
        self.remarks.append(Remark(source, line, text, reason))

    def tcp_smtp(self) -> bytes:
        """The rules as a file: addresses by number, then names, and everybody else."""
        everybody = {b"": ALLOW} | self.rules
        return b"".join(b"%s:%s\n" % pair for pair in sorted(everybody.items(), key=_order))


def is_host(text: bytes) -> bool:
    """Whether this is the name of a host or domain, in letters that all servers agree on."""
    return bool(text) and not text.strip(LETTERS) and b".." not in text and text[:1] not in b".-" and text[-1:] != b"."


def logical_lines(text: bytes, source: str, draft: Draft) -> Iterable[tuple[int, bytes]]:
    """(number of the first line, the whole) of lines that go on where the next begins with a blank; no comments."""
    held: list[bytes] = []
    first = 0
    for number, line in enumerate(text.split(b"\n"), 1):
        if not line.strip() or line.lstrip()[:1] == b"#":
            continue
        if line[:1] in b" \t":
            if held:
                held.append(line.strip())
            else:
                draft.remark(source, number, line, "goes on a line that is not there")
            continue
        if held:
            yield first, b" ".join(held)
        held, first = [line.strip()], number
    if held:
        yield first, b" ".join(held)


def _order(pair: tuple[bytes, bytes]) -> tuple[int, int, int, bytes]:
    address = pair[0]
    if address[:1] == b"=":
        return 2, 0, 0, address
    found = networks.parse_network(address if b":" in address or b"/" in address else _padded(address))
    if found is None:
        return 3, 0, 0, address
    return int(found[0].bits != V4), found[0].number, found[0].length, address


def _padded(prefix: bytes) -> bytes:
    octets = prefix.rstrip(b".").split(b".")
    return b"%s/%d" % (b".".join(octets + [b"0"] * (4 - len(octets))), 8 * len(octets))
