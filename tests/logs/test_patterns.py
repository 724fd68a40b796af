from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.logs.patterns import compiled


def naive(pattern: bytes, line: bytes) -> bool:
    """What multilog(8) says of patterns, a byte at a time."""
    at = 0
    for place, byte in enumerate(pattern):
        if byte == ord("*"):
            following = pattern[place + 1 : place + 2]
            if not following:
                return True
            at = line.find(following, at)
            if at < 0:
                return False
        elif line[at : at + 1] == bytes([byte]):
            at += 1
        else:
            return False
    return at == len(line)


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        (b"one", b"one", True),
        (b"one", b"onf", False),
        (b"one", b"on", False),
        (b"one", b"onetwo", False),
        (b"", b"", True),
        (b"", b"x", False),
        (b"*", b"", True),
        (b"*", b"anything\r", True),
        (b"one*", b"onetwo", True),
        (b"one*", b"on", False),
        (b"*one", b"one", True),
        (b"*one", b"zone", True),
        (b"*one", b"oone", False),
        (b"*one", b"two one", False),
        (b"* one", b"two one", True),
        (b"*a*b", b"xaxb", True),
        (b"*a*b", b"xaxbx", False),
        (b"**", b"no star", False),
        (b"**", b"a * star", True),
        (b"**x", b"a * star x", True),
        (b"**x", b"a x star *", False),
        (b"*\xff[.*", b"..\xff[.", True),
        (b"a\nb", b"a\nb", True),
    ],
)
def test_what_the_manual_says(pattern: bytes, line: bytes, matches: bool) -> None:
    assert bool(compiled(pattern)(line)) is matches
    assert naive(pattern, line) is matches


@given(st.text("ab*\\^]-[ \xe9").map(str.encode), st.text("ab*\\^]-[ \xe9").map(str.encode))
def test_compiled_is_naive(pattern: bytes, line: bytes) -> None:
    assert bool(compiled(pattern)(line)) is naive(pattern, line)


@given(st.binary(max_size=6), st.binary(max_size=8))
def test_any_bytes_are_taken_as_they_are(pattern: bytes, line: bytes) -> None:
    assert bool(compiled(pattern)(line)) is naive(pattern, line)


def test_stars_without_end_take_no_longer_than_the_line() -> None:
    assert not compiled(b"*a" * 200 + b"b")(b"a" * 1000)
