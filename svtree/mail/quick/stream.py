"""Netstrings that are larger than what one likes to hold, read piece by piece; and what a server is asked to do. Pure.

A server is a generator: it yields NEED, to be sent what the client sends next (b"" when nothing will come), or an
action, to be sent the answer to it. `Stream` is the part of it that reads; its methods are generators to `yield from`.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Final, TypeAlias, TypeVar

    Value = TypeVar("Value")

NEED: Final = None
# The exit codes of the original servers: the client is gone, breaks the protocol, asks for more than there is.
GONE = 0
BROKEN = 100
RESOURCES = 111
# From here on a length gets no more digits.
ENOUGH = 200_000_000
# An address has fewer bytes than this.
ADDRESS = 1000
# All recipients of a message together, each with what it takes to remember it: some hundred thousand of them.
MOST_RECIPIENTS = 8 << 20
COST = 64


@record
class Begin:
    """A message begins. There is no answer."""


@record
class Write:
    """A piece of the message. There is no answer."""

    data: bytes


@record
class Finish:
    """The message is whole: hand it over. The answer is a text that begins with K, Z or D, for the client."""

    sender: bytes
    recipients: tuple[bytes, ...]


@record
class Abandon:
    """Forget the message. There is no answer."""


@record
class Reply:
    """Send this, at the latest before more is asked for. There is no answer."""

    data: bytes


@record
class End:
    """Close the connection, forget a message that has begun, and exit with this code."""

    code: int


if TYPE_CHECKING:
    Action: TypeAlias = Begin | Write | Finish | Abandon | Reply | End
    Reading: TypeAlias = Generator[Action | None, bytes, Value]
    Conversation: TypeAlias = Generator[Action | None, bytes, None]


class EndedError(Exception):
    """The conversation cannot go on; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        """GONE, BROKEN or RESOURCES."""
        super().__init__(code)
        self.code = code


class Stream:
    """Bytes that have come and were not used yet. `left` is how many more may be used; None: any number."""

    def __init__(self) -> None:
        """Nothing has come."""
        self.left: int | None = None
        self._held = b""
        self._at = 0

    def some(self, most: int) -> Reading[bytes]:
        """At least one byte, at most so many. EndedError where none may be used, or none will come."""
        if self.left is not None:
            if not self.left:
                raise EndedError(BROKEN)
            most = min(most, self.left)
        if self._at == len(self._held):
            self._held = yield NEED
            self._at = 0
            if not self._held:
                raise EndedError(GONE)
        piece = self._held[self._at : self._at + most]
        self._at += len(piece)
        if self.left is not None:
            self.left -= len(piece)
        return piece

    def take(self, size: int) -> Reading[bytes]:
        """Just so many bytes, which are held."""
        taken = b""
        while len(taken) < size:
            taken += yield from self.some(size - len(taken))
        return taken

    def skip(self, size: int) -> Reading[None]:
        """Use so many bytes up."""
        while size:
            size -= len((yield from self.some(size)))

    def length(self) -> Reading[int]:
        """The number before a netstring, and its colon. As in the original no digit is 0, and zeros may lead."""
        value = 0
        while True:
            byte = yield from self.some(1)
            if byte == b":":
                return value
            if value > ENOUGH:
                raise EndedError(RESOURCES)
            if not byte.isdigit():
                raise EndedError(BROKEN)
            value = 10 * value + int(byte)

    def comma(self) -> Reading[None]:
        """The end of a netstring."""
        if (yield from self.some(1)) != b",":
            raise EndedError(BROKEN)

    def address(self) -> Reading[bytes | None]:
        """A netstring that is an address; None where it is none, being too long or having a NUL."""
        size = yield from self.length()
        if size >= ADDRESS:
            yield from self.skip(size)
            yield from self.comma()
            return None
        address = yield from self.take(size)
        yield from self.comma()
        return None if b"\0" in address else address
