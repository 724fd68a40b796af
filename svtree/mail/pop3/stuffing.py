"""A stored message as POP3 sends it: LF becomes CRLF, a line that begins with a dot gets another one.

Follows blast() of qmail-pop3d.c: an empty line comes before the dot that ends it, and a last line without LF gets its
CRLF. Works by blocks, so that neither the size of a message nor that of a line is a matter of memory.
"""

from __future__ import annotations


class Stuffing:
    """Takes a message in blocks and gives back what to send for each; `done` when no more of it is wanted."""

    def __init__(self, lines: int | None = None) -> None:
        """`lines` of the body are sent, with the header and the empty line after it; None: all."""
        self._left = lines
        self._in_header = True
        self._at_start = True
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """What to send for the next block of the message."""
        if self._left is not None:
            data = self._cut(data, self._left)
        if not data:
            return b""
        sent = data.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        if self._at_start and data[:1] == b".":
            sent = b"." + sent
        self._at_start = data[-1:] == b"\n"
        return sent

    def finish(self) -> bytes:
        """What to send at the end of the message."""
        return b"\r\n.\r\n" if self._at_start else b"\r\n\r\n.\r\n"

    def _cut(self, data: bytes, left: int) -> bytes:
        """`data` up to the last line that is wanted."""
        at = 0
        if self._in_header:
            at = self._end_of_header(data)
            if not at:
                return data
            self._in_header = False
        lines = data.count(b"\n", at)
        if lines < left:
            self._left = left - lines
            return data
        for _ in range(left):
            at = data.find(b"\n", at) + 1
        self._left = 0
        self.done = True
        return data[:at]

    def _end_of_header(self, data: bytes) -> int:
        """Where the body begins in this block; 0 if it does not."""
        # The LF that ends the line before an empty one may have been in the block before.
        if self._at_start and data[:1] == b"\n":
            return 1
        found = data.find(b"\n\n")
        return 0 if found < 0 else found + 2
