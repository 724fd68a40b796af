"""Netstrings: LENGTH:BYTES, as in <https://cr.yp.to/proto/netstrings.txt>, whole and as a stream."""

from __future__ import annotations

# "65536:" is 6; a length with more digits is nobody's message.
DIGITS = 9


class NetstringError(ValueError):
    """What came is not a netstring, or one that is longer than allowed."""


def encode(data: bytes) -> bytes:
    """The netstring of `data`."""
    return b"%d:%s," % (len(data), data)


class Decoder:
    """Takes bytes as they come, gives back whole strings; holds at most one of them."""

    __slots__ = ("_held", "_limit")

    def __init__(self, limit: int) -> None:
        """No string may be longer than `limit` bytes."""
        self._limit = limit
        self._held = b""

    @property
    def pending(self) -> bytes:
        """What has come and is not yet a whole string."""
        return self._held

    def feed(self, data: bytes) -> list[bytes]:
        """The strings that are complete now; NetstringError as soon as what came cannot become one."""
        held = self._held + data if self._held else data
        found = []
        at = 0
        while at < len(held):
            colon = held.find(b":", at, at + DIGITS + 1)
            digits = held[at : colon if colon >= 0 else at + DIGITS + 1]
            if (digits and not digits.isdigit()) or (colon >= 0 and not digits) or len(digits) > DIGITS:
                raise NetstringError("not a length")
            if digits[:1] == b"0" and len(digits) > 1:
                raise NetstringError("a length begins with 0")
            if digits and int(digits) > self._limit:
                raise NetstringError(f"longer than {self._limit} bytes")
            if colon < 0:
                break
            end = colon + 1 + int(digits)
            if end >= len(held):
                break
            if held[end] != 44:
                raise NetstringError("no comma at the end")
            found.append(held[colon + 1 : end])
            at = end + 1
        self._held = held[at:]
        return found
