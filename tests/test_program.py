from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.program import UsageError, number, options

USAGE = "prog: usage: prog [ -qv ] [ -x cdb ] host"


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        ([b"-q", b"host"], [("q", b"")], [b"host"]),
        ([b"-qv", b"host"], [("q", b""), ("v", b"")], [b"host"]),
        ([b"-x", b"cdb", b"host"], [("x", b"cdb")], [b"host"]),
        ([b"-xcdb", b"host"], [("x", b"cdb")], [b"host"]),
        ([b"-qxcdb", b"host"], [("q", b""), ("x", b"cdb")], [b"host"]),
        ([b"-q", b"--", b"-v"], [("q", b"")], [b"-v"]),
        ([b"-", b"-v"], [], [b"-", b"-v"]),
        ([b"host", b"-v"], [], [b"host", b"-v"]),
        ([b"", b"-v"], [], [b"", b"-v"]),
        ([], [], []),
    ],
)
def test_options_are_split_as_subgetopt_splits_them(
    words: list[bytes], found: list[tuple[str, bytes]], rest: list[bytes]
) -> None:
    assert options([b"prog", *words], "qvx:", USAGE) == (found, rest)


def test_an_unknown_letter_is_named_before_the_usage() -> None:
    with pytest.raises(UsageError) as caught:
        options([b"prog", b"-z"], "qv", USAGE)
    assert caught.value.complaint == "prog: illegal option -- z"
    assert caught.value.usage == USAGE
    assert caught.value.code == 100


def test_a_colon_is_not_a_letter() -> None:
    with pytest.raises(UsageError):
        options([b"prog", b"-:"], "x:", USAGE)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        options([b"prog", b"-x"], "x:", USAGE)
    assert caught.value.complaint == "prog: option requires an argument -- x"


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_any_words_are_options_or_a_usage_error(words: list[bytes]) -> None:
    try:
        found, rest = options([b"prog", *words], "ab:c", USAGE)
    except UsageError:
        return
    assert len(found) + len(rest) <= sum(map(len, words)) + len(words)
    assert words[len(words) - len(rest) :] == rest


@pytest.mark.parametrize(
    ("text", "value"), [(b"", 0), (b"abc", 0), (b"12", 12), (b"12abc", 12), (b"-3", 0), (b" 7", 0), (b"007", 7)]
)
def test_numbers_are_read_as_scan_ulong_reads_them(text: bytes, value: int) -> None:
    assert number(text) == value
