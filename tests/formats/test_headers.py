from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import headers
from svtree.formats.headers import HeaderSplitter, HeaderTooLongError, field_name


def split(message: bytes, cuts: list[int] | None = None) -> tuple[list[bytes], bytes]:
    splitter = HeaderSplitter()
    fields: list[bytes] = []
    at = 0
    for cut in sorted(cuts or []):
        if not splitter.done:
            fields += splitter.feed(message[at:cut])
            at = max(at, cut)
    if not splitter.done:
        fields += splitter.feed(message[at:])
        at = len(message)
    if not splitter.done:
        fields += splitter.end()
    return fields, splitter.body + message[at:]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"Subject: x\n", b"subject"),
        (b"TO \t: x\n", b"to"),
        (b"X-Y:\n", b"x-y"),
        (b"a b: x\n", None),
        (b": x\n", None),
        (b"no colon\n", None),
        (b"caf\xe9: x\n", None),
        (b"\x7f: x\n", None),
    ],
)
def test_a_field_has_a_name_of_printable_characters(field: bytes, name: bytes | None) -> None:
    assert field_name(field) == name


@pytest.mark.parametrize(
    ("message", "fields", "body"),
    [
        (b"", [], b""),
        (b"A: b\n", [b"A: b\n"], b""),
        (b"A: b", [b"A: b\n"], b""),
        (b"A: b\n\n", [b"A: b\n"], b"\n"),
        (b"A: b\n c\n\td\nE: f\n\nbody\n", [b"A: b\n c\n\td\n", b"E: f\n"], b"\nbody\n"),
        (b"A: b\nno field\nE: f\n", [b"A: b\n"], b"\nno field\nE: f\n"),
        (b"no header", [], b"\nno header\n"),
        (b" indented: x\nA: b\n", [], b"\n indented: x\nA: b\n"),
        (b"From joe Mon\nA: b\n\n", [b"MBOX-Line: From joe Mon\n", b"A: b\n"], b"\n"),
        (b"A: b\nFrom joe\n", [b"A: b\n", b"MBOX-Line: From joe\n"], b""),
        (b"\nbody", [], b"\nbody"),
        (b"A: b\n \nc\n", [b"A: b\n \n"], b"\nc\n"),
    ],
)
def test_a_message_is_fields_and_a_body(message: bytes, fields: list[bytes], body: bytes) -> None:
    assert split(message) == (fields, body)


PIECES = st.lists(st.sampled_from([b"A: b", b"\n", b" c", b"From ", b"x", b":", b"\xe9", b"\t"]), max_size=20).map(
    b"".join
)


@given(PIECES, st.lists(st.integers(0, 60), max_size=5))
def test_it_does_not_matter_where_the_blocks_of_a_message_are_cut(message: bytes, cuts: list[int]) -> None:
    assert split(message, cuts) == split(message)


@given(PIECES)
def test_nothing_of_a_message_is_lost(message: bytes) -> None:
    fields, body = split(message)
    whole = b"".join(field.removeprefix(headers.MBOX_LINE) for field in fields) + body
    assert whole.replace(b"\n", b"") == message.replace(b"\n", b"")


def test_a_header_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "LIMIT", 1000)
    splitter = HeaderSplitter()
    for _ in range(11):
        splitter.feed(b"x" * 100)
    with pytest.raises(HeaderTooLongError):
        splitter.feed(b"x" * 100)
