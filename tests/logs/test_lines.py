from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.syslog import ALERT, INFO, WARNING
from svtree.logs.lines import PIECE, Splitter, severity

NOW = 1_700_000_000_123_456_789


def pieces(line: bytes, splitter: Splitter | None = None) -> list[bytes]:
    machine = splitter or Splitter()
    made = []
    while (piece := machine.piece(line, NOW, ended=True)) is not None:
        made.append(piece.text)
        if piece.ends:
            break
        line = line[piece.size :]
    return made


def test_a_line_gets_seconds_and_microseconds() -> None:
    assert pieces(b"status: local 0/10") == [b"1700000000.123456 status: local 0/10"]


def test_a_blank_line_is_left_out() -> None:
    assert pieces(b"") == []


def test_what_cannot_be_printed_is_a_question_mark() -> None:
    assert pieces(b"a\tb\x7f\x80\xff\0~") == [b"1700000000.123456 a?b????~"]


def test_a_long_line_goes_on_after_a_plus() -> None:
    assert pieces(b"x" * 799) == [b"1700000000.123456 " + b"x" * 799]
    assert pieces(b"x" * 800) == [b"1700000000.123456 " + b"x" * 799, b"1700000000.123456+x"]
    assert [len(each) for each in pieces(b"x" * 1598)] == [17 + 1 + 799, 17 + 1 + 799]


def test_lines_of_one_moment_are_a_microsecond_apart() -> None:
    machine = Splitter()
    assert [pieces(b"x", machine)[0][:17] for _ in range(3)] == [
        b"1700000000.123456",
        b"1700000000.123457",
        b"1700000000.123458",
    ]


def test_how_bad_it_is_stands_at_the_beginning() -> None:
    assert severity(b"warning: x") == WARNING
    assert severity(b"alert: x") == ALERT
    assert severity(b" alert: x") == severity(b"alert") == severity(b"Warning:") == INFO


def test_a_line_interrupted_by_a_kill_goes_on_with_its_moment_and_severity() -> None:
    machine = Splitter(moment=5_000_000_000_001_000, severity=ALERT)
    piece = machine.piece(b"rest", NOW, ended=True)
    assert piece is not None
    assert (piece.severity, piece.text) == (ALERT, b"5000000.000001+rest")
    following = machine.piece(b"next", NOW, ended=True)
    assert following is not None
    assert (following.severity, following.text) == (INFO, b"1700000000.123456 next")


@given(st.binary(max_size=3000).map(lambda data: data.replace(b"\n", b"")))
def test_the_pieces_are_the_line(line: bytes) -> None:
    made = pieces(line)
    assert b"".join(each[18:] for each in made) == bytes(byte if 32 <= byte <= 126 else 63 for byte in line)
    assert all(len(each) <= PIECE + 18 for each in made)
