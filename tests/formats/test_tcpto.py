from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import tcpto

HOST = bytes((192, 0, 2, 1))
EMPTY = bytes(1024)


def noted(table: bytes, host: bytes, now: int, *, timed_out: bool) -> bytes:
    change = tcpto.note(table, host, now, timed_out=timed_out)
    return table if change is None else table[: change[0]] + change[1] + table[change[0] + 16 :]


def test_a_host_is_down_for_an_hour_after_two_time_outs_two_minutes_apart() -> None:
    table = noted(EMPTY, HOST, 1000, timed_out=True)
    assert not tcpto.is_down(table, HOST, 1000, pid=0)
    table = noted(table, HOST, 1060, timed_out=True)
    assert not tcpto.is_down(table, HOST, 1060, pid=0)
    table = noted(table, HOST, 1120, timed_out=True)
    assert tcpto.is_down(table, HOST, 1120, pid=0)
    assert tcpto.is_down(table, HOST, 1120 + 3839, pid=0)
    assert not tcpto.is_down(table, HOST, 1120 + 3840, pid=0)
    assert tcpto.is_down(table, HOST, 1120 + 3840, pid=1)


def test_a_record_is_as_qmail_tcpto_reads_it() -> None:
    assert noted(EMPTY, HOST, 0x01020304, timed_out=True)[:16] == HOST + b"\1\0\0\0\4\3\2\1" + bytes(4)


def test_a_connection_that_was_made_clears_the_host() -> None:
    table = noted(noted(EMPTY, HOST, 1000, timed_out=True), HOST, 2000, timed_out=True)
    assert tcpto.is_down(table, HOST, 2000, pid=0)
    assert not tcpto.is_down(noted(table, HOST, 2001, timed_out=False), HOST, 2001, pid=0)
    assert tcpto.note(EMPTY, HOST, 2001, timed_out=False) is None


def test_in_a_full_table_the_oldest_host_is_forgotten() -> None:
    table = EMPTY
    for number in range(64):
        table = noted(table, bytes((10, 0, 0, number)), 1000 + number, timed_out=True)
    table = noted(table, HOST, 5000, timed_out=True)
    assert table[:4] == HOST
    assert table[16:20] == bytes((10, 0, 0, 1))


@given(st.binary(max_size=1100), st.binary(min_size=4, max_size=4), st.integers(0, 1 << 33), st.booleans())
def test_any_bytes_are_a_table(table: bytes, host: bytes, now: int, timed_out: bool) -> None:
    tcpto.is_down(table, host, now, pid=now)
    change = tcpto.note(table, host, now, timed_out=timed_out)
    if change is not None:
        offset, record = change
        assert offset % 16 == 0
        assert offset + 16 <= len(table)
        assert len(record) == 16
        assert record[:4] == host


def test_the_hosts_that_are_remembered_are_listed() -> None:
    other = bytes((192, 0, 2, 2))
    table = noted(
        noted(noted(EMPTY, HOST, 1000, timed_out=True), other, 1010, timed_out=True), HOST, 2000, timed_out=True
    )
    assert tcpto.timeouts(table) == [tcpto.Timeout(HOST, 2, 2000), tcpto.Timeout(other, 1, 1010)]
    assert tcpto.timeouts(noted(table, HOST, 2001, timed_out=False)) == [tcpto.Timeout(other, 1, 1010)]
    assert tcpto.timeouts(table[:20]) == [tcpto.Timeout(HOST, 2, 2000)]
    assert tcpto.timeouts(b"") == []
