r"""The envelope as qmail-queue reads it from descriptor 1: F SENDER \0, then T RECIPIENT \0 for each, then \0.

Follows envelopes(5), qmail-queue(8) and the limits of qmail-queue.c.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# qmail-queue.c's ADDR: an address and its NUL.
ADDRESS = 1003


class EnvelopeError(ValueError):
    """What came cannot be an envelope."""


class TooLongError(EnvelopeError):
    """An address has 1003 bytes or more."""


def pack(sender: bytes, recipients: Iterable[bytes]) -> bytes:
    """The envelope of a message. An address that holds a NUL would be two: EnvelopeError."""
    records = [b"F" + sender, *(b"T" + each for each in recipients)]
    for each in records:
        if b"\0" in each:
            raise EnvelopeError("an address holds a NUL")
        if len(each) > ADDRESS:
            raise TooLongError("an address is too long")
    return b"".join(each + b"\0" for each in records) + b"\0"


class Reader:
    """Takes an envelope in pieces and gives back its records, checked, as they are written into intd/N."""

    __slots__ = ("_held", "_started", "done")

    def __init__(self) -> None:
        """Nothing read yet."""
        self._held = b""
        self._started = False
        self.done = False

    @property
    def whole(self) -> bool:
        """Whether what has come is whole records, a sender's first; the final NUL may be missing."""
        return self._started and not self._held

    def feed(self, data: bytes) -> bytes:
        """The records that are complete now, each with its NUL. What follows the end of the envelope is ignored."""
        if self.done:
            return b""
        *whole, rest = (self._held + data).split(b"\0")
        self._held = b""
        passed: list[bytes] = []
        for each in whole:
            if not each and self._started:
                self.done = True
                return b"".join(passed)
            self._check(each)
            if not each:
                raise EnvelopeError("an envelope begins with F")
            passed.append(each + b"\0")
            self._started = True
        self._check(rest)
        self._held = rest
        return b"".join(passed)

    def _check(self, record: bytes) -> None:
        if record and record[:1] != (b"T" if self._started else b"F"):
            raise EnvelopeError("an unknown record in the envelope")
        if len(record) > ADDRESS:
            raise TooLongError("an address is too long")
