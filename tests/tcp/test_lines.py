from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.tcp.lines import Body, DelCr, FixCr, add_cr, transcript, visible

texts = st.lists(st.sampled_from([b"\r", b"\n", b"x", b"\r\n"]), max_size=30).map(b"".join)


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    blocks = []
    while data:
        size = draw.draw(st.integers(1, len(data)))
        blocks.append(data[:size])
        data = data[size:]
    return blocks


@given(texts, st.data())
def test_fixcrio_mends_what_has_no_cr_and_nothing_else(data: bytes, draw: st.DataObject) -> None:
    expected = b""
    for at in range(len(data)):
        byte = data[at : at + 1]
        expected += b"\r\n" if byte == b"\n" and data[at - 1 : at] != b"\r" else byte
    mender = FixCr()
    assert b"".join(mender.feed(block) for block in cut(data, draw)) == expected


@given(texts, st.data())
def test_delcr_takes_one_cr_before_each_lf(data: bytes, draw: st.DataObject) -> None:
    filtering = DelCr()
    out = b"".join(filtering.feed(block) for block in cut(data, draw)) + filtering.end()
    assert out == data.replace(b"\r\n", b"\n")


@given(texts, st.data())
def test_delcr_undoes_addcr(data: bytes, draw: st.DataObject) -> None:
    filtering = DelCr()
    blocks = cut(add_cr(data), draw)
    assert b"".join(filtering.feed(block) for block in blocks) + filtering.end() == data


@pytest.mark.parametrize(
    ("block", "lines"),
    [
        (b"one\ntwo", [b"7 < one \n", b"7 < two+\n"]),
        (b"one\n", [b"7 < one \n"]),
        (b"\n", [b"7 <  \n"]),
        (b"x" * 300, [b"7 < " + b"x" * 256 + b"+\n", b"7 < " + b"x" * 44 + b"+\n"]),
        (b"x" * 255 + b"\ny", [b"7 < " + b"x" * 255 + b" \n", b"7 < y+\n"]),
    ],
)
def test_a_transcript_says_where_lines_end_and_where_they_go_on(block: bytes, lines: list[bytes]) -> None:
    assert transcript(b"7 < ", block) == lines


def test_what_is_shown_is_what_cat_shows() -> None:
    data = bytes(range(256)) + b"plain text\twith tab\n"
    shown = subprocess.run(["cat", "-v"], input=data, capture_output=True, check=True).stdout
    assert visible(data) == shown
    assert visible(b"plain\n") == b"plain\n"


@given(st.lists(st.sampled_from([b"\n", b"\n\n", b"x", b"head: 1\n", b"body"]), max_size=20).map(b"".join), st.data())
def test_the_body_is_what_comes_after_the_first_empty_line_without_empty_lines(
    data: bytes, draw: st.DataObject
) -> None:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    after = lines[lines.index(b"") + 1 :] if b"" in lines else []
    body = Body()
    out = b"".join(body.feed(block) for block in cut(data, draw)) + body.end()
    assert out == b"".join(line + b"\n" for line in after if line)
