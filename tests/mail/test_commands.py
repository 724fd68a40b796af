from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.commands import Command, Commands, TooLongError


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"NOOP\r\n", Command(b"noop", b"")),
        (b"NOOP\n", Command(b"noop", b"")),
        (b"\r\n", Command(b"", b"")),
        (b"MAIL  FROM:<a@b> x \r\n", Command(b"mail", b"FROM:<a@b> x ")),
        (b" NOOP\n", Command(b"", b"NOOP")),
        (b"HELO\tx\n", Command(b"helo\tx", b"")),
        (b"NOOP\r\r\n", Command(b"noop\r", b"")),
        (b"QUIT\0 now\n", Command(b"quit", b"")),
        (b"HELO a\0b\r\n", Command(b"helo", b"a")),
        (b"\xc3\x89 \xe9\n", Command(b"\xc3\x89", b"\xe9")),
    ],
)
def test_a_line_is_a_verb_and_an_argument(line: bytes, command: Command) -> None:
    commands = Commands()
    commands.feed(line)
    assert commands.take() == command
    assert commands.take() is None


def test_lines_come_one_by_one_and_what_is_left_can_be_taken_as_it_is() -> None:
    commands = Commands()
    commands.feed(b"a\r\nb c\r\nrest\r\nof it")
    assert commands.take() == Command(b"a", b"")
    assert commands.take() == Command(b"b", b"c")
    assert commands.take_rest() == b"rest\r\nof it"
    assert commands.take_rest() == b""
    commands.feed(b"d\n")
    assert commands.take() == Command(b"d", b"")


def test_a_line_is_too_long_whether_it_has_ended_or_not() -> None:
    commands = Commands(limit=4)
    commands.feed(b"1234\n1234")
    assert commands.take() == Command(b"1234", b"")
    assert commands.take() is None
    commands.feed(b"5")
    with pytest.raises(TooLongError):
        commands.take()
    commands.take_rest()
    commands.feed(b"12345\n")
    with pytest.raises(TooLongError):
        commands.take()


@given(st.lists(st.binary(max_size=8), max_size=20))
def test_lines_are_the_same_in_pieces_of_any_size(pieces: list[bytes]) -> None:
    whole, parts = Commands(), Commands()
    whole.feed(b"".join(pieces))
    expected = list(iter(whole.take, None))
    found: list[Command] = []
    for piece in pieces:
        parts.feed(piece)
        found.extend(iter(parts.take, None))
    assert found == expected
    assert parts.take_rest() == whole.take_rest()
