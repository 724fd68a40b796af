from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import logscript, tai64
from svtree.logs.patterns import compiled
from svtree.logs.sorting import Sorter, shown

NOW = 1_700_000_000_123_456_789
LINES = st.lists(st.text("ab 1", max_size=6).map(str.encode), min_size=1, max_size=12)
WORDS = st.lists(
    st.sampled_from([b"+*", b"-*", b"+a*", b"-a*", b"+*b", b"-*1*", b"e", b"=file", b"./x", b"./y", b"s4096"]),
    max_size=8,
)


def sorter(*words: bytes) -> Sorter:
    return Sorter(logscript.parse(words))


def test_stamps_are_unique_and_rise_by_a_nanosecond_in_a_block_and_from_block_to_block() -> None:
    machine = sorter(b"t", b"./x")
    stamped = b"".join(machine.sort([b"line"] * 100, now).shares[0].data for now in (NOW, NOW, NOW - 10**9))
    moments = [tai64.parse(line[:25]) for line in stamped.splitlines()]
    assert moments == list(range(NOW, NOW + 300))


def test_large_blocks_begin_at_most_four_microseconds_early() -> None:
    machine = sorter(b"t", b"./x")
    last = 0
    for now in (NOW, NOW + 1000, NOW + 10**7):
        data = machine.sort([b"%d" % number for number in range(9000)], now).shares[0].data
        moments = [tai64.parse(line[:25]) for line in data.splitlines()]
        assert [line[26:] for line in data.splitlines()] == [b"%d" % number for number in range(9000)]
        assert moments == list(range(moments[0], moments[0] + 9000))
        assert moments[0] > last
        assert moments[0] >= now - 4096
        last = moments[-1]


def test_a_block_across_the_end_of_a_second_goes_on_in_the_next() -> None:
    late = NOW - NOW % tai64.NANO + tai64.NANO - 2
    lines = sorter(b"t", b"./x").sort([b"%d" % n for n in range(5)], late).shares[0].data.splitlines()
    assert [tai64.parse(line[:25]) for line in lines] == list(range(late, late + 5))
    assert [line[26:] for line in lines] == [b"0", b"1", b"2", b"3", b"4"]


def test_per_cent_signs_and_any_bytes_pass() -> None:
    line = bytes(byte for byte in range(256) if byte != 10) + b"%s%%%08x"
    assert sorter(b"t", b"./x").sort([line], NOW).shares[0].data == tai64.label(NOW) + b" " + line + b"\n"


def test_patterns_see_the_stamp_and_a_thousand_bytes_with_it() -> None:
    lines = [b"a!end", b"b" * 970 + b"!end", b"c" * 971 + b"!end"]
    batch = sorter(b"t", b"-*", b"+@4*!end", b"./x").sort(lines, NOW)
    assert re.findall(rb"^@[0-9a-f]{24} (.)", batch.shares[0].data, re.MULTILINE) == [b"a", b"b"]


def test_standard_error_gets_200_bytes_and_a_mark() -> None:
    assert shown(b"x" * 200) == b"x" * 200 + b"\n"
    assert shown(b"x" * 201) == b"x" * 200 + b"...\n"


def test_a_status_file_is_the_last_selected_line_filled_up_to_1001_bytes() -> None:
    batch = sorter(b"-b*", b"=file").sort([b"a1", b"a2", b"b"], NOW)
    assert batch.statuses == {1: b"a2" + b"\n" * 999}
    assert sorter(b"-*", b"=file").sort([b"a"], NOW).statuses == {}


@given(WORDS, st.lists(LINES, min_size=1, max_size=3))
def test_sorting_blocks_is_sorting_line_by_line(words: list[bytes], blocks: list[list[bytes]]) -> None:
    machine = sorter(*words)
    logs = [b""] * sum(word[:1] == b"." for word in words)
    stderr = b""
    for block in blocks:
        batch = machine.sort(block, NOW)
        logs = [log + share.data for log, share in zip(logs, batch.shares, strict=True)]
        stderr += batch.stderr
    expected = [b""] * len(logs)
    expected_stderr = b""
    for line in [line for block in blocks for line in block]:
        selected, log = True, 0
        for word in words:
            if word[:1] in b"+-" and bool(compiled(word[1:])(line)):
                selected = word[:1] == b"+"
            elif word == b"e" and selected:
                expected_stderr += line + b"\n"
            elif word[:1] == b".":
                expected[log] += line + b"\n" if selected else b""
                log += 1
    assert logs == expected
    assert stderr == expected_stderr


@given(LINES, st.sampled_from([(b"./x",), (b"t", b"./x"), (b"-a*", b"./x"), (b"t", b"-*a", b"./x")]))
def test_a_share_knows_which_lines_a_part_of_it_is(lines: list[bytes], words: tuple[bytes, ...]) -> None:
    share = sorter(*words).sort(lines, NOW).shares[0]
    assert share.until(len(lines)) == len(share.data)
    assert share.until(0) == 0
    ends = [at + 1 for at, byte in enumerate(share.data) if byte == 10]
    for end in ends:
        line = share.consumed(end)
        assert share.until(line) == end
        assert share.data[:end].endswith(lines[line - 1] + b"\n")
    for start in [0, *ends[:-1]] if ends else []:
        assert share.until(share.place(start)) == start
