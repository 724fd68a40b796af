from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import envdir


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", None),
        (b"\n", b""),
        (b"one\ntwo\n", b"one"),
        (b"no newline", b"no newline"),
        (b" leading stays, trailing goes \t \n", b" leading stays, trailing goes"),
        (b"a\0b\n", b"a\nb"),
        (b" \t", b""),
        (b"nul at the end\0", b"nul at the end\n"),
    ],
)
def test_the_first_line_is_the_value(data: bytes, value: bytes | None) -> None:
    assert envdir.value(data) == value


@given(st.binary())
def test_a_value_holds_no_nul_and_no_white_at_its_end_but_a_newline_that_was_nul(data: bytes) -> None:
    value = envdir.value(data)
    assert (value is None) == (data == b"")
    if value is not None:
        assert b"\0" not in value
        assert value[-1:] not in (b" ", b"\t")


def test_an_empty_file_removes_and_an_equals_sign_in_a_name_splits() -> None:
    environ = {b"A": b"1", b"B": b"2"}
    envdir.apply(environ, b"A", b"")
    envdir.apply(environ, b"MISSING", b"")
    envdir.apply(environ, b"B=x", b"y")
    envdir.apply(environ, b"C=z", b"")
    envdir.apply(environ, b"=nameless", b"value")
    assert environ == {b"B": b"x=y", b"C": b"z"}
