"""Decimal numbers as DJB's programs read them: the digits that a text begins with, whatever follows."""

from __future__ import annotations

# What an unsigned long cannot hold. C's scan_ulong wraps round there; here it is just a large number, and Python is
# never asked to convert more digits than it is willing to.
LARGE = 1 << 64


def scan(text: bytes) -> tuple[int | None, bytes]:
    """The number at the start of `text`, None where there is no digit, and what follows it; at most `LARGE`."""
    end = 0
    while end < len(text) and 48 <= text[end] <= 57:
        end += 1
    if not end:
        return None, text
    digits = text[:end].lstrip(b"0")
    return (min(int(digits or b"0"), LARGE) if len(digits) <= 20 else LARGE), text[end:]
