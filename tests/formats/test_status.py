from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import status
from svtree.formats.status import DOWN, FINISHING, ONCE, RUNNING, STOPPED, UP, Status, StatusError, parse

# Recorded from the files that daemontools 0.76 and runit 2.1.2 wrote for `exec sleep 1000` on 23 November 2026.
SUPERVISE_UP = bytes.fromhex("400000006b061ac02e000decda4f00000075")
SUPERVISE_DOWN = bytes.fromhex("400000006b061ac12f5996f4000000000064")
RUNSV_UP = bytes.fromhex("400000006b061ac13b757174ee4f000000750001")
RUNSV_PAUSED = bytes.fromhex("400000006b061ac13b757174ee4f000001750001")
RUNSV_FINISH = bytes.fromhex("400000006b061ac324badec40150000000640002")

SINCE = (0x6B061AC1 - 10) * 10**9


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SUPERVISE_UP, Status(SINCE - 10**9 + 0x2E000DEC, 20442, False, UP, False, RUNNING)),
        (SUPERVISE_DOWN, Status(SINCE + 0x2F5996F4, 0, False, DOWN, False, STOPPED)),
        (RUNSV_UP, Status(SINCE + 0x3B757174, 20462, False, UP, False, RUNNING)),
        (RUNSV_PAUSED, Status(SINCE + 0x3B757174, 20462, True, UP, False, RUNNING)),
        (RUNSV_FINISH, Status(SINCE + 2 * 10**9 + 0x24BADEC4, 20481, False, DOWN, False, FINISHING)),
    ],
)
def test_what_the_originals_wrote_is_read(data: bytes, expected: Status) -> None:
    assert parse(data) == expected


@pytest.mark.parametrize("data", [RUNSV_UP, RUNSV_PAUSED, RUNSV_FINISH])
def test_what_runit_wrote_is_packed_again_to_the_byte(data: bytes) -> None:
    assert parse(data).pack() == data


@pytest.mark.parametrize("data", [SUPERVISE_UP, SUPERVISE_DOWN])
def test_the_first_bytes_are_those_of_daemontools(data: bytes) -> None:
    assert parse(data).pack()[: status.SHORT] == data


@pytest.mark.parametrize("size", [0, 1, 17])
def test_too_few_bytes_are_no_status(size: int) -> None:
    with pytest.raises(StatusError, match=r"^bad format$"):
        parse(RUNSV_UP[:size])


def test_what_follows_the_twenty_bytes_is_ignored() -> None:
    assert parse(RUNSV_UP + b"more") == parse(RUNSV_UP)


@given(
    st.builds(
        Status,
        since=st.integers(0, 2**62 * 10**9),
        pid=st.integers(0, 2**32 - 1),
        paused=st.booleans(),
        want=st.sampled_from([UP, DOWN, ONCE]),
        term_sent=st.booleans(),
        phase=st.sampled_from([STOPPED, RUNNING, FINISHING]),
    )
)
def test_a_status_survives_being_packed(written: Status) -> None:
    data = written.pack()
    assert len(data) == status.SIZE
    assert parse(data) == written


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse(data)
    except StatusError:
        assert len(data) < status.SHORT
