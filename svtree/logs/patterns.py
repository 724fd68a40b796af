"""multilog's patterns, compiled. Pure.

Follows match.c of daemontools 0.76. A pattern matches a whole line. "*" skips to the first place where the byte that
follows it in the pattern stands, and there is no second try: `*ab` does not match `aab`. At the end of the pattern
"*" matches the rest. Of two stars in a row the first skips to a literal "*" and the second goes on from there.
Only the first 1000 bytes of a line are looked at, its timestamp included.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Matcher = Callable[[bytes], object]

# multilog.c's line[1001].
SEEN = 1000
STAR = 42


def compiled(pattern: bytes) -> Matcher:
    """A function that says whether a line (without its newline, at most 1000 bytes of it) matches."""
    literal, star, rest = pattern.partition(b"*")
    if not star:
        return pattern.__eq__
    if not rest:
        return _always if not literal else _beginning(literal)
    # No backtracking is possible in what is made here: each part is bounded by the byte that ends it.
    import re

    return re.compile(expression(pattern), re.DOTALL).match


def expression(pattern: bytes) -> bytes:
    """The regular expression that matches what `pattern` does."""
    parts = []
    for at, byte in enumerate(pattern):
        following = pattern[at + 1 : at + 2]
        if byte != STAR:
            parts.append(_escape(byte))
        elif not following:
            # The rest of the line, whatever it is: there is nothing left to match.
            return b"".join(parts)
        elif following == b"*":
            parts.append(b"[^\\x2a]*(?=\\x2a)")
        else:
            # The byte that ends the skip is the pattern's next literal, so it need not be looked for twice.
            parts.append(b"[^" + _escape(following[0]) + b"]*")
    return b"".join(parts) + b"\\Z"


def _escape(byte: int) -> bytes:
    return b"\\x%02x" % byte


def _beginning(literal: bytes) -> Matcher:
    def begins(line: bytes) -> bool:
        return line.startswith(literal)

    return begins


def _always(_: bytes) -> bool:
    return True
