from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.logscript import Directory, Script, Select, StatusFile, Stderr, parse


def test_an_example_of_everything() -> None:
    words = [b"t", b"-*", b"+*fatal:*", b"e", b"=status", b"s16384", b"n3", b"!tr a b", b"./main", b"!", b"/log/x"]
    assert parse(words) == Script(
        True,
        (
            Select(False, b"*"),
            Select(True, b"*fatal:*"),
            Stderr(),
            StatusFile(b"status"),
            Directory(b"./main", 16384, 3, b"tr a b"),
            Directory(b"/log/x", 16384, 3, b""),
        ),
    )


def test_without_words_there_is_nothing_to_do() -> None:
    assert parse([]) == Script(False, ())


@pytest.mark.parametrize(
    ("word", "size", "count"),
    [
        (b"s4095", 4096, 10),
        (b"s16777216", 16777215, 10),
        (b"s", 4096, 10),
        (b"s8000k", 8000, 10),
        (b"s-1", 4096, 10),
        (b"s18446744073709551616", 4096, 10),
        (b"s" + b"9" * 5000, 16777215, 10),
        (b"n1", 99999, 2),
        (b"n", 99999, 2),
        (b"n250", 99999, 250),
        (b"x", 99999, 10),
    ],
)
def test_numbers_are_brought_into_their_range(word: bytes, size: int, count: int) -> None:
    assert parse([word, b"./d"]).directories == (Directory(b"./d", size, count),)


def test_only_a_t_that_comes_first_means_timestamps() -> None:
    assert parse([b"t", b"./d"]).stamp
    assert parse([b"tai", b"./d"]).stamp
    assert not parse([b"e", b"t", b"./d"]).stamp


@given(st.lists(st.binary()))
def test_nothing_is_refused(words: list[bytes]) -> None:
    parse(words)
