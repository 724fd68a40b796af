"""TAI64N labels in a stream of lines: put at the beginning of each, or made readable there. Pure, a block at a time.

Follows tai64n.c and tai64nlocal.c of daemontools 0.76, which read a byte at a time; here a block is stamped by one
formatting of the whole, and a second is converted once, not once a line.
"""

from __future__ import annotations

from struct import Struct

from svtree.formats.tai64 import EPOCH, NANO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEX = b"0123456789abcdef"
_DIGIT = frozenset(bytes((byte,)) for byte in HEX)
DIGITS = 24
# The seconds and nanoseconds of labels, one after another.
LABELS = Struct(">QI").iter_unpack
WORD = 1 << 64
# How many seconds are remembered in words; more than a block of lines usually has.
REMEMBERED = 1024


class CalendarError(Exception):
    """The moment of a label is in no year that can be written."""


class Stamper:
    """Puts a label and a space before each line."""

    def __init__(self) -> None:
        """The first byte begins a line."""
        self._fresh = True
        self._last = 0

    def feed(self, block: bytes, now: int) -> bytes:
        """The block, not empty, with labels; `now` is nanoseconds since 1970, when its first byte was read.

        Each line of it is stamped one nanosecond later than the line before, so that labels are unique, and rise
        even when the clock stands still; when the clock is set back, they follow it.
        """
        closing = block.endswith(b"\n")
        inner = block.count(b"\n") - closing
        count = inner + self._fresh
        if not count:
            self._fresh = closing
            return block
        if now <= self._last < now + NANO:
            now = self._last + 1
        seconds, nano = divmod(now, NANO)
        if nano + count > NANO:
            # The lines would not fit into this second: all of them are stamped with the next, microseconds early.
            seconds, nano = seconds + 1, 0
        self._last = seconds * NANO + nano + count - 1
        label = b"@%016x%%08x " % (EPOCH + seconds)
        text = block.replace(b"%", b"%%")
        if inner:
            text = text.replace(b"\n", b"\n" + label, inner)
        if self._fresh:
            text = label + text
        self._fresh = closing
        return text % tuple(range(nano, nano + count))


class Localiser:
    """Turns the label at the beginning of a line into date and time of day; what is no label goes by unchanged.

    A label is "@" and lower-case hexadecimal digits up to the first byte that is none. Of more than 24 the last count,
    and fewer are read as if zeros stood before them, as the original's shifting has it. One whose moment no calendar
    can show, on which the original crashes, stays as it is. Digits that the end of input cuts off are not written.
    """

    def __init__(self, local: Callable[[int], Sequence[int]]) -> None:
        """`local` gives year, month, day, hour, minute, second of a Unix time; OverflowError or OSError beyond it."""
        self._local = local
        self._fresh = True
        self._held = b""
        self._seconds: dict[int, bytes] = {}

    def feed(self, block: bytes) -> bytes:
        """What can be written after this block, which is not empty; the beginning of a label is kept for the next."""
        data = self._held + block
        self._held = b""
        # Every label follows a newline, if one is thought before the first line.
        before = b"\n" if self._fresh else b""
        out, *pieces = (before + data).split(b"\n@")
        self._fresh = data.endswith(b"\n")
        if not pieces:
            return out[len(before) :]
        if pieces[-1].strip(HEX):
            text = b"\n".join((out, *self._all(pieces)))
        else:
            self._held = b"@" + pieces.pop()[-DIGITS:]
            self._fresh = True
            text = b"\n".join((out, *self._all(pieces), b""))
        return text[len(before) :]

    def _all(self, pieces: Sequence[bytes]) -> list[bytes]:
        """Lines, each without its "@", and each with those after it that have no label."""
        digits = b"".join([piece[:DIGITS] for piece in pieces])
        if (
            len(digits) != DIGITS * len(pieces)
            or digits.strip(HEX)
            or not _DIGIT.isdisjoint([piece[DIGITS : DIGITS + 1] for piece in pieces])
        ):
            return [self._one(piece) for piece in pieces]
        second = self._second
        try:
            return [
                b"%b%09d%b" % (second(seconds), nano, piece[DIGITS:])
                for (seconds, nano), piece in zip(LABELS(bytes.fromhex(digits.decode())), pieces, strict=True)
            ]
        except CalendarError:
            return [self._one(piece) for piece in pieces]

    def _one(self, piece: bytes) -> bytes:
        """A line whose label may have any number of digits."""
        rest = piece.lstrip(HEX)
        digits = piece[: len(piece) - len(rest)][-DIGITS:].rjust(DIGITS, b"0")
        try:
            return b"%b%09d%b" % (self._second(int(digits[:16], 16)), int(digits[16:], 16), rest)
        except CalendarError:
            return b"@" + piece

    def _second(self, label: int) -> bytes:
        """Date and time of a TAI64 second, up to the decimal point; CalendarError where there is no such date."""
        known = self._seconds.get(label)
        if known is not None:
            return known
        seconds = (label - EPOCH) % WORD
        if seconds >= WORD >> 1:
            seconds -= WORD
        try:
            year, month, day, hour, minute, second = self._local(seconds)[:6]
        except (OverflowError, OSError, ValueError) as error:
            raise CalendarError(label) from error
        if len(self._seconds) >= REMEMBERED:
            self._seconds.clear()
        # The original prints the year as an unsigned long.
        text = b"%d-%02d-%02d %02d:%02d:%02d." % (year % WORD, month, day, hour, minute, second)
        self._seconds[label] = text
        return text
