"""Many lines of rules at one go: what they have in common is replaced in all of them at once, and no line is looked at.

A long list of rules tells few things, or the same with a value each: `:deny`, or `:allow,RELAYCLIENT="",N="17"`. What
stands between address and value is then the same few bytes in every line. Put in their place what the cdb has there,
and the text is addresses and data. Where a batch of lines has anything else in it, a mark in the wrong place, a quote
that is left over, nothing is said about it, and the lines have to be read one by one, which takes ten times longer.

The language is that of svtree.formats.rules; this knows no more of it than where an instruction's quotes are.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    Columns: TypeAlias = tuple[Sequence[bytes], Sequence[bytes]]

# Stands between address and data. Texts with it, or with NUL, which ends a field of the data, are not taken apart here.
MARK = b"\x01"
NUL = b"\0"
# What is left of a batch is the marks and the ends of lines, in turn.
OTHERS = bytes(set(range(256)) - {1, 10})
# With more beginnings, or more variables, looking for each in every batch is slower than reading lines.
WAYS = 16
# What is told without variables, and the data for that.
PLAIN = {b"deny": b"D" + NUL, b"allow": b""}


class Ways:
    """The ways to go on after an address that have been met in a file."""

    def __init__(self) -> None:
        """No way is known yet but plain `allow` and `deny`."""
        # From the colon to the first quote: what takes its place, and the quote.
        self._heads: dict[bytes, tuple[bytes, bytes]] = {}
        # From one value's quote to the next one's: what takes its place.
        self._joints: dict[bytes, bytes] = {}

    def learn(self, told: bytes) -> None:
        """Take note of instructions that are known to make sense, without blanks at their end."""
        names, quote = _variables(told)
        if not names or len(self._heads) > WAYS or len(self._joints) > WAYS:
            return
        action, _, _ = told.partition(b",")
        head = b":%b,%b=%b" % (action, names[0], quote)
        becomes = MARK + PLAIN[action] + b"+" + names[0] + b"="
        joints = {b"%b,%b=%b" % (quote, name, quote): b"\0+%b=" % name for name in names[1:]}
        # The quotes that are left over are counted, so that none may be put there.
        if quote.isalnum() or any(quote in each for each in (becomes, NUL, b"\n", *names, *joints.values())):
            return
        self._heads[head] = becomes, quote
        self._joints.update(joints)

    def columns(self, batch: bytes) -> Columns | None:
        """Addresses as written, and data, of lines that are all rules of known ways; None where one may not be.

        An address may be anything: a comment's "#" may stand before it.
        """
        if not batch.endswith(b"\n"):
            return None
        count = batch.count(b"\n")
        plain = {told: batch.count(b":%b\n" % told) for told in PLAIN}
        for told, found in plain.items():
            if found == count:
                return batch.split(b":%b\n" % told)[:-1], [PLAIN[told]] * count
        if sum(plain.values()) == count == batch.count(b":"):
            words = batch.replace(b":", b"\n").split(b"\n")
            return words[:-1:2], [*map(PLAIN.__getitem__, words[1::2])]
        if MARK in batch or NUL in batch:
            return None
        text = self._with_marks(batch, count)
        if text is None or text.translate(None, OTHERS) != (MARK + b"\n") * count:
            return None
        words = text.replace(MARK, b"\n").split(b"\n")
        addresses = words[:-1:2]
        # A NUL is the end of a value. In an address somebody has written what stands between two values.
        return None if self._joints and NUL in b"".join(addresses) else (addresses, words[1::2])

    def _with_marks(self, text: bytes, count: int) -> bytes | None:
        """So many lines as address, mark and data; None where a quote has no place in them."""
        framed = 0
        used = b""
        for head, (becomes, quote) in self._heads.items():
            found = text.count(head)
            if found:
                if used not in (b"", quote):
                    return None
                used = quote
                framed += found
                text = text.replace(head, becomes)
        if framed:
            # The first quote after a head ends its value. Names have no quotes, so those of a joint are neighbours; if
            # joints and line ends use up all quotes, then each pair was one value's end and the next one's beginning.
            for joint, becomes in self._joints.items():
                text = text.replace(joint, becomes)
            if text.count(used + b"\n") != framed:
                return None
            text = text.replace(used + b"\n", b"\0\n")
            if used in text:
                return None
        if framed < count:
            for told, data in PLAIN.items():
                text = text.replace(b":%b\n" % told, MARK + data + b"\n")
        return text


def _variables(told: bytes) -> tuple[list[bytes], bytes]:
    """The names of the variables that are set, and the quote of all their values; no names where they have several."""
    names: list[bytes] = []
    at = told.find(b",")
    quote = b""
    while 0 <= at < len(told):
        equals = told.index(b"=", at)
        if quote not in (b"", told[equals + 1 : equals + 2]):
            return [], b""
        quote = told[equals + 1 : equals + 2]
        names.append(told[at + 1 : equals])
        at = told.index(quote, equals + 2) + 1
    return names, quote
