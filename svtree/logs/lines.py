"""splogger's pure machine: lines become pieces that syslog can take. No I/O; the time is handed in.

Follows splogger.c of notqmail: unprintable bytes become "?", blank lines are left out, a line goes in pieces of 799
bytes, the first after "SECONDS.MICROSECONDS ", the others after the same with a "+"; "alert:" and "warning:" at the
beginning of a line make its severity.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.syslog import ALERT, INFO, WARNING

PIECE = 799
PRINTABLE = bytes(byte if 32 <= byte <= 126 else 63 for byte in range(256))
MICRO = 1000
SECOND = 1_000_000_000


@record
class Piece:
    """A message to send: `size` bytes of the input are in it; `ends`: they end with the line."""

    severity: int
    moment: int
    text: bytes
    size: int
    ends: bool


class Splitter:
    """Makes pieces of lines. Each line's moment is a microsecond later than the last one's at least."""

    def __init__(self, *, moment: int = 0, severity: int | None = None) -> None:
        """Begin with a line, or, where `severity` is given, inside a line of that severity and that moment.

        `moment`: the time that the first line is to have, in nanoseconds; 0 for the present time.
        """
        self._fixed = moment
        self._last = 0
        self._severity = severity

    @property
    def inside(self) -> int | None:
        """The severity of the line that we are inside of."""
        return self._severity

    @property
    def moment(self) -> int:
        """The time of the line that we are inside of."""
        return self._last

    def due(self, now: int) -> int:
        """The time that the next piece will have, were it made now."""
        if self._severity is not None:
            return self._fixed or self._last
        return self._fixed or max(now - now % MICRO, self._last + MICRO)

    def piece(self, line: bytes, now: int, *, ended: bool) -> Piece | None:
        """The next piece of `line`, whose newline has been seen if it is `ended`; None where nothing is left of it.

        `line` is the line without its newline and without what earlier pieces had. Its size counts the newline.
        """
        moment = self.due(now)
        if not line:
            # A blank line, or one that ends where its last piece did.
            self._severity, self._fixed = None, 0
            return None
        part = line[:PIECE]
        ends = ended and len(line) <= PIECE
        mark = b"+" if self._severity is not None else b" "
        if self._severity is None:
            self._severity = severity(part)
        text = b"%d.%06d%s%s" % (moment // SECOND, moment // MICRO % 1_000_000, mark, part.translate(PRINTABLE))
        made = Piece(self._severity, moment, text, len(part) + ends, ends)
        self._last = moment
        self._fixed = 0
        if ends:
            self._severity = None
        return made


def severity(line: bytes) -> int:
    """The severity that a line's beginning asks for."""
    if line.startswith(b"warning:"):
        return WARNING
    return ALERT if line.startswith(b"alert:") else INFO
