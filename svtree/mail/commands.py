"""Command lines of SMTP and POP3: bytes in, verbs and arguments out.

Follows qmail's commands.c: a line ends with LF, one CR before it does not count, what follows a NUL is not seen; the
verb ends at the first space, the argument begins after the last of the spaces there; case does not matter in a verb.
"""

from __future__ import annotations

from svtree.formats.record import record

# What a command may have before the peer is cut off. qmail reads 100,000 bytes and more; its bound is softlimit.
LIMIT = 256 << 10


@record
class Command:
    """One line: its verb in lower case and the rest."""

    verb: bytes
    argument: bytes


class TooLongError(Exception):
    """A line has outgrown its bound."""


class Commands:
    """Bytes that have come and were not used yet; each `take` uses one line."""

    def __init__(self, limit: int = LIMIT) -> None:
        """`limit` is the most bytes that a line may have."""
        self._limit = limit
        self._bytes = bytearray()
        # Up to here there is no LF: a line that comes in many pieces is searched once.
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Add what the peer has sent."""
        self._bytes += data

    def take(self) -> Command | None:
        """The next command, or None if no whole line is there. Raises TooLongError."""
        line = self.take_line()
        if line is None:
            return None
        verb, _, argument = line.partition(b" ")
        return Command(verb.lower(), argument.lstrip(b" "))

    def take_line(self) -> bytes | None:
        """The next line as it came, without its end, or None if no whole line is there. Raises TooLongError."""
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._bytes)
        if (self._searched if end < 0 else end) > self._limit:
            raise TooLongError
        if end < 0:
            return None
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        self._searched = 0
        return line.removesuffix(b"\r").partition(b"\0")[0]

    def take_rest(self) -> bytes:
        """All bytes that are there, line or not: for what follows DATA."""
        rest = bytes(self._bytes)
        self._bytes.clear()
        self._searched = 0
        return rest
