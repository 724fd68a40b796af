from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import dates


def test_a_date_looks_as_qmail_writes_it() -> None:
    assert dates.header(1795474968) == b"23 Nov 2026 23:02:48 -0000"
    assert dates.compact(1795474968) == b"20261123230248"


@pytest.mark.parametrize(
    ("offset", "written"),
    [
        (0, b"23 Nov 2026 23:02:48 +0000"),
        (3600, b"24 Nov 2026 00:02:48 +0100"),
        (-12600, b"23 Nov 2026 19:32:48 -0330"),
        (20700, b"24 Nov 2026 04:47:48 +0545"),
        (29, b"23 Nov 2026 23:03:17 +0000"),
        (-30, b"23 Nov 2026 23:02:18 -0001"),
    ],
)
def test_a_local_date_says_how_far_from_utc_it_is_to_the_nearest_minute(offset: int, written: bytes) -> None:
    assert dates.local(1795474968, offset) == written


@given(st.integers(0, 1 << 38))
def test_dates_are_those_of_the_c_library(seconds: int) -> None:
    assert dates.civil(seconds) == tuple(time.gmtime(seconds))[:6]


@given(st.integers(0, 4_000_000_000))
def test_the_from_line_of_an_mbox_has_the_moment_as_ctime_has_it(seconds: int) -> None:
    assert dates.mbox(seconds).decode() == time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(seconds))
