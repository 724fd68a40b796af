from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import control, smtproutes, tlshosts


def test_a_line_ends_where_its_text_ends() -> None:
    assert control.line(b"mail.example.com \t\nsecond\n") == b"mail.example.com"
    assert control.line(b"") == b""


def test_lists_leave_out_comments_and_blank_lines() -> None:
    assert control.lines(b"a\n# no\n\n b \nc#d\n") == [b"a", b" b", b"c#d"]


@pytest.mark.parametrize(("data", "value"), [(b"10\n", 10), (b"10 x", 10), (b"x\n", None), (b"", None), (b"-1", None)])
def test_a_number_is_a_number_or_nothing(data: bytes, value: int | None) -> None:
    assert control.number(data) == value


@given(st.binary(max_size=200), st.binary(max_size=30))
def test_whatever_is_in_a_file_it_is_values_or_an_error_that_is_named(data: bytes, host: bytes) -> None:
    lines = control.lines(data)
    assert all(line and line == line.rstrip(b" \t") and not line.startswith(b"#") for line in lines)
    assert control.line(data) == data.split(b"\n")[0].rstrip(b" \t")
    number = control.number(data)
    assert number is None or number >= 0
    route = smtproutes.find(smtproutes.parse(lines), host)
    assert route is None or route.port >= 0
    try:
        policy = tlshosts.find(tlshosts.parse(lines), host)
    except tlshosts.TlsHostsError as error:
        assert "not DOMAIN:" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert policy.wanted in {b"may", b"must", b"verify", b"never"}
