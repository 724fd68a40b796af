"""The header of a mail message: where it ends, its fields, their names.

Follows RFC 822, qmail-header(5) and notqmail's headerbody.c and hfield.c: a line that cannot be a field ends the
header, and the blank line that should have is put in; an mbox's "From " line becomes a field of its own.
"""

from __future__ import annotations

# A header beyond this is none that anybody wrote: it would be held in memory whole.
LIMIT = 16 << 20
BLANK = b" \t"
MBOX_LINE = b"MBOX-Line: "

_NAME = frozenset(range(33, 127))


class HeaderTooLongError(Exception):
    """More than LIMIT bytes have come and the header has not ended."""


def field_name(field: bytes) -> bytes | None:
    """The name of a field in small letters, or None where this is no field."""
    name, colon, _ = field.partition(b":")
    name = name.rstrip(BLANK)
    return name.lower() if colon and name and _NAME.issuperset(name) else None


class HeaderSplitter:
    """Takes a message in blocks and gives out its header fields, each with all its lines and their newlines.

    When `done`, `body` holds what was read beyond the fields, beginning with the blank line; what is read after that
    belongs to the body as it is. A message may end with its header: then `body` is empty.
    """

    def __init__(self) -> None:
        """At the beginning of a message."""
        self.done = False
        self.body = b""
        self._unread = b""
        self._field: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> list[bytes]:
        """The fields that are complete now. Raises HeaderTooLongError."""
        if self._size > LIMIT:
            raise HeaderTooLongError
        self._size += len(block)
        if b"\n" not in block:
            self._unread += block
            return []
        data = self._unread + block
        self._unread = b""
        fields: list[bytes] = []
        at = 0
        while not self.done:
            end = data.find(b"\n", at) + 1
            if not end:
                self._unread = data[at:]
                break
            if self._line(data[at:end], fields):
                self.body += data[end:]
            at = end
        return fields

    def end(self) -> list[bytes]:
        """The fields that the end of the message completes; a last line without a newline gets one."""
        fields: list[bytes] = []
        if self._unread:
            self._line(self._unread + b"\n", fields)
            self._unread = b""
        if not self.done:
            self._end_field(fields)
            self.done = True
        return fields

    def _line(self, line: bytes, fields: list[bytes]) -> bool:
        """Take a line; tells whether the header ends with it."""
        if self._field and line[:1] in (b" ", b"\t"):
            self._field.append(line)
            return False
        self._end_field(fields)
        if line.startswith(b"From "):
            self._field = [MBOX_LINE, line]
        elif field_name(line) is not None:
            self._field = [line]
        else:
            self.done = True
            self.body = line if line == b"\n" else b"\n" + line
        return self.done

    def _end_field(self, fields: list[bytes]) -> None:
        if self._field:
            fields.append(b"".join(self._field))
            self._field = []
