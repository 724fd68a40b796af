"""What is in a qmail control file.

Follows qmail-control(5) and control.c: one value on the first line, or one value a line with blank lines and lines
beginning with "#" left out; spaces and tabs at the end of a line do not count.
"""

from __future__ import annotations

from svtree.formats.numbers import scan

WHITE = b" \t"


def line(data: bytes) -> bytes:
    """The value of a one-line control file."""
    return data.split(b"\n", 1)[0].rstrip(WHITE)


def lines(data: bytes) -> list[bytes]:
    """The values of a control file that is a list."""
    stripped = (each.rstrip(WHITE) for each in data.split(b"\n"))
    return [each for each in stripped if each and each[:1] != b"#"]


def number(data: bytes) -> int | None:
    """The number at the start of a one-line control file; None where there is none (the default then holds)."""
    return scan(line(data))[0]
