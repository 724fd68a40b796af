from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import tai64
from svtree.logs.labels import Localiser, Stamper

NOW = 1_700_000_000_123_456_789
blocks = st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b.replace(b"a", b"\n")), max_size=20)
# What labels are made of, so that random text has some.
texts = st.lists(
    st.sampled_from([b"@", b"\n", b"4", b"00000000", b"37c219bf", b"2ef02e94", b"f", b"A", b" ", b"x\n"]), max_size=40
).map(b"".join)


def unstamped(line: bytes) -> tuple[int, bytes]:
    assert line[25:26] == b" "
    return tai64.parse(line[:25]), line[26:]


@given(blocks)
def test_stamping_adds_labels_and_changes_nothing_else(blocks: list[bytes]) -> None:
    stamper = Stamper()
    out = b"".join(stamper.feed(block, NOW) for block in blocks)
    data = b"".join(blocks)
    assert out.count(b"\n") == data.count(b"\n")
    lines = [unstamped(line) for line in out.split(b"\n") if line]
    plain = data.split(b"\n")
    assert [text for _, text in lines] == (plain if plain[-1] else plain[:-1])
    stamps = [stamp for stamp, _ in lines]
    assert stamps == sorted(set(stamps)), "unique and rising, though the clock stands still"


def test_a_line_is_stamped_when_its_first_byte_comes() -> None:
    stamper = Stamper()
    assert unstamped(stamper.feed(b"begun ", NOW)) == (NOW, b"begun ")
    assert stamper.feed(b"and ended\n", NOW + 500) == b"and ended\n"
    assert unstamped(stamper.feed(b"next\n", NOW + 900)) == (NOW + 900, b"next\n")


def test_lines_that_do_not_fit_into_a_second_go_into_the_next() -> None:
    end = 1_700_000_000_999_999_999
    out = Stamper().feed(b"a\nb\nc\n", end)
    assert [unstamped(line)[0] - end for line in out.splitlines()] == [1, 2, 3]
    assert unstamped(Stamper().feed(b"a\n", end)) == (end, b"a\n")


def test_a_clock_that_is_set_back_is_followed_but_for_jitter() -> None:
    stamper = Stamper()
    stamper.feed(b"a\n", NOW)
    assert unstamped(stamper.feed(b"b\n", NOW - 500_000_000))[0] == NOW + 1
    assert unstamped(stamper.feed(b"c\n", NOW - 3600 * tai64.NANO))[0] == NOW - 3600 * tai64.NANO


def reference(data: bytes) -> bytes:
    """A byte at a time, as tai64nlocal(8) has it."""
    out = b""
    for line in data.splitlines(keepends=True) if b"\r" not in data else []:
        rest = line
        if line[:1] == b"@":
            rest = line[1:].lstrip(b"0123456789abcdef")
            digits = line[1 : len(line) - len(rest)]
            if not rest:
                break
            value = int(digits or b"0", 16)
            try:
                seconds = ((value >> 32) - tai64.EPOCH + (1 << 63)) % (1 << 64) - (1 << 63)
                when = time.gmtime(seconds)
                out += b"%d-%02d-%02d %02d:%02d:%02d.%09d" % (*when[:6], value % (1 << 32))
            except (OverflowError, OSError):
                rest = line
        out += rest
    return out


@given(texts, st.data())
def test_however_the_input_is_cut_the_output_is_that_of_a_byte_at_a_time(data: bytes, draw: st.DataObject) -> None:
    localiser = Localiser(time.gmtime)
    out = b""
    rest = data
    while rest:
        size = draw.draw(st.integers(1, len(rest)))
        out += localiser.feed(rest[:size])
        rest = rest[size:]
    assert out == reference(data)


def test_what_is_no_label_is_passed_on_at_once_and_a_label_when_it_is_whole() -> None:
    localiser = Localiser(time.gmtime)
    assert localiser.feed(b"plain") == b"plain"
    assert localiser.feed(b"\n@40000000") == b"\n"
    assert localiser.feed(b"37c219bf2ef02e94") == b""
    assert localiser.feed(b" ") == b"1999-08-24 04:04:05.787492500 "
    assert localiser.feed(b"@4000000037c219bf2ef02e94 \n") == b"@4000000037c219bf2ef02e94 \n"


def test_digits_without_end_take_no_memory() -> None:
    localiser = Localiser(time.gmtime)
    assert localiser.feed(b"@") == b""
    for _ in range(100):
        assert localiser.feed(b"4" * 10_000) == b""
    assert len(localiser._held) == 25


@pytest.mark.parametrize("line", [b"@ x\n", b"@abc\n", b"@" + b"f" * 24 + b" x\n"])
def test_a_moment_that_no_calendar_has_stays_as_it_is(line: bytes) -> None:
    assert Localiser(time.gmtime).feed(line) == line
    assert Localiser(time.gmtime).feed(b"@4000000037c219bf2ef02e94\n" + line).endswith(b"\n" + line)
