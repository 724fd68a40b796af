from __future__ import annotations

import pytest

from svtree.formats import control


def test_a_line_ends_where_its_text_ends() -> None:
    assert control.line(b"mail.example.com \t\nsecond\n") == b"mail.example.com"
    assert control.line(b"") == b""


def test_lists_leave_out_comments_and_blank_lines() -> None:
    assert control.lines(b"a\n# no\n\n b \nc#d\n") == [b"a", b" b", b"c#d"]


@pytest.mark.parametrize(("data", "value"), [(b"10\n", 10), (b"10 x", 10), (b"x\n", None), (b"", None), (b"-1", None)])
def test_a_number_is_a_number_or_nothing(data: bytes, value: int | None) -> None:
    assert control.number(data) == value
