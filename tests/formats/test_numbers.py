from __future__ import annotations

import pytest

from svtree.formats.numbers import LARGE, scan


@pytest.mark.parametrize(
    ("text", "number", "rest"),
    [
        (b"", None, b""),
        (b"x1", None, b"x1"),
        (b"0", 0, b""),
        (b"007 5", 7, b" 5"),
        (b"12x", 12, b"x"),
        (b"9999999999999999999", 9999999999999999999, b""),
        (b"99999999999999999999 1", LARGE, b" 1"),
        (b"9" * 10000, LARGE, b""),
        (b"0" * 10000 + b"1", 1, b""),
    ],
)
def test_a_number_is_what_digits_begin_a_text(text: bytes, number: int | None, rest: bytes) -> None:
    assert scan(text) == (number, rest)
