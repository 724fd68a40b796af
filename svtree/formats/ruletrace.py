"""Which line of a rules file decides about a client, and which would if that line were not there.

What it says is what rules.decide says of the cdb compiled from the same lines; it says it with lines in place of keys.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.rulekeys import candidates, keys, lengths, pack_lengths
from svtree.formats.rules import DEFAULT, DENY, Decision, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.formats.rulekeys import Lengths
    from svtree.formats.rules import Rule


@record
class Line:
    """A line that matches: its number (from 1), the line without blanks at its end, and what it would decide."""

    number: int
    text: bytes
    decision: Decision


@record
class Trace:
    """What the rules say to a client, the line that says it (None: no line matches), and the others that match.

    These come in the order in which they would decide, the line before them gone.
    `named` and `users` are lines about host names and users, where the client's is not known: nobody has asked them.
    """

    decision: Decision
    line: Line | None
    shadowed: tuple[Line, ...]
    named: tuple[int, ...]
    users: tuple[int, ...]


def trace(text: bytes, ip: bytes, host: bytes | None = None, info: bytes | None = None) -> Trace:
    """How these rules decide; arguments as of rules.decide. RulesError where they do not compile."""
    parsed = list(parse(text))
    wanted = list(dict.fromkeys(candidates(ip, host, info, _lengths(parsed))))
    matching: dict[bytes, list[Rule]] = {key: [] for key in wanted}
    named, users = [], []
    for rule in parsed:
        if info is None and b"@" in rule.address:
            users.append(rule.line)
        elif host is None and rule.address[:1] == b"=":
            named.append(rule.line)
        # Two numbers of a range may have the same key: a line matches once.
        for key in {key for key, _ in keys(rule.address)}:
            if key in matching:
                matching[key].append(rule)
    whole = text.split(b"\n")
    found = [
        Line(rule.line, whole[rule.line - 1].rstrip(b" \t"), Decision(key, rule.action == DENY, rule.environ))
        for key in wanted
        for rule in matching[key]
    ]
    first = found[0] if found else None
    return Trace(first.decision if first else DEFAULT, first, tuple(found[1:]), tuple(named), tuple(users))


def _lengths(parsed: Sequence[Rule]) -> Lengths:
    """The lengths of networks that the cdb compiled from these rules would have."""
    several = (keys(rule.address) for rule in parsed if b"/" in rule.address)
    seen = {kind for found in several for _, kind in found if kind is not None}
    return lengths(lambda _: pack_lengths(seen) if seen else None)
