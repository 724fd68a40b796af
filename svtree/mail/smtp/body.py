"""What follows DATA: a message in lines that end with CRLF, up to a line that is a single dot.

Follows blast() of qmail-smtpd.c byte for byte, but by blocks: searching and replacing in 64 kB is a thousand times
faster in Python than looking at each byte. What comes out:

- CRLF becomes LF, and a CR that no LF follows stays as it is;
- the dot at the start of a line is left out, except before a CR that no LF follows;
- a LF that no CR precedes ends the session: receivers that disagree about it can be made to see two messages in one;
- lines of the header that begin with "Received" or "Delivered", in any case, are counted: they are hops.
"""

from __future__ import annotations

END = b"\r\n.\r\n"
# The longest proper prefix of END that a block may end with waits for the next block.
_BEGINNINGS = tuple(END[:size] for size in range(len(END) - 1, 0, -1))
_HOPS = (b"\nreceived", b"\ndelivered")
_CARRIED = len(max(_HOPS, key=len)) - 1


class StrayNewlineError(Exception):
    """A LF without a CR before it."""


class Body:
    """Takes bytes until the end has come; afterwards `rest` is what came behind it."""

    def __init__(self) -> None:
        """Nothing has come."""
        # As if a line had ended just now: the end, a dot, the end of the header and a hop are found at the very start
        # by the same searches as later. Its LF is not part of the message.
        self._held = b"\r\n"
        self._first = True
        self._carried = b""
        self._in_header = True
        self.hops = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """The piece of the message that is certain now. Raises StrayNewlineError."""
        data = self._held + data
        end = data.find(END)
        if end >= 0:
            self.done = True
            self.rest = data[end + len(END) :]
            self._held = b""
            data = data[: end + 2]
        else:
            size = next((len(each) for each in _BEGINNINGS if data.endswith(each)), 0)
            self._held = data[len(data) - size :]
            data = data[: len(data) - size]
        if data.count(b"\n") != data.count(b"\r\n"):
            raise StrayNewlineError
        if self._in_header:
            self._count(data)
        if self._first and data:
            self._first = False
            return _clean(data)[1:]
        return _clean(data)

    def _count(self, data: bytes) -> None:
        """Count hops up to the empty line that ends the header, also those that begin in the block before."""
        before = self._carried
        text = before + data
        end = text.find(b"\r\n\r\n")
        if end >= 0:
            self._in_header = False
            text = text[: end + 2]
        text = text.lower()
        before = before.lower()
        self.hops += sum(text.count(each) - before.count(each) for each in _HOPS)
        self._carried = text[-_CARRIED:]


def _clean(data: bytes) -> bytes:
    """A block that ends where a line or a word of a line ends: dots and CRs left out."""
    if b"\r\n." in data:
        # The dot before a lone CR stays: doubled first, it is halved with the others.
        data = data.replace(b"\r\n.\r", b"\r\n..\r").replace(b"\r\n.", b"\r\n")
    return data.replace(b"\r\n", b"\n")
