from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.delivery.dialogue import (
    CONTENT,
    NONSENSE,
    EndlessReplyError,
    Hello,
    PartialLineError,
    Reply,
    ReplyReader,
    Transparency,
    converse,
)

LINES = st.lists(st.sampled_from([b"\n", b"\r", b".", b"x", b"\r\n", b"\n.", b"\r.\r"]), max_size=15).map(b"".join)
CUTS = st.lists(st.integers(0, 40), max_size=6)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def sent(message: bytes, cuts: list[int]) -> bytes:
    lines = Transparency()
    return b"".join(lines.feed(piece) for piece in pieces(message, cuts)) + lines.end()


@given(LINES, CUTS)
def test_every_line_of_a_message_arrives_whatever_ended_it(message: bytes, cuts: list[int]) -> None:
    plain = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if plain and not plain.endswith(b"\n"):
        with pytest.raises(PartialLineError):
            sent(message, cuts)
        return
    wire = sent(message, cuts)
    assert wire.endswith(b".\r\n")
    received = wire.removesuffix(b".\r\n").split(b"\r\n")
    assert b"\n".join(line.removeprefix(b".") for line in received) == plain


@given(LINES, CUTS)
def test_there_is_no_end_of_a_message_within_it_for_any_server(message: bytes, cuts: list[int]) -> None:
    try:
        wire = sent(message, cuts)
    except PartialLineError:
        return
    body = wire.removesuffix(b".\r\n")
    # Some servers take a CR or an LF alone for a line end.
    assert not re.search(rb"(\A|[\r\n])\.[\r\n]", body)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)


@given(
    st.lists(st.sampled_from([b"250", b"-", b" ", b"\r\n", b"\n", b"4", b"x", b"\0"]), max_size=20).map(b"".join), CUTS
)
def test_it_does_not_matter_how_a_reply_is_cut(data: bytes, cuts: list[int]) -> None:
    whole, cut = ReplyReader(), ReplyReader()
    whole.feed(data)
    expected = []
    while (reply := whole.take()) is not None:
        expected.append(reply)
    found = []
    for piece in pieces(data, cuts):
        cut.feed(piece)
        while (reply := cut.take()) is not None:
            found.append(reply)
    assert found == expected


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"220 hello\r\n", Reply(220, b"220 hello\n")),
        (b"250-one\r\n250-two\n250 three\r\n", Reply(250, b"250-one\n250-two\n250 three\n")),
        (b"250\r\n", Reply(250, b"250\n")),
        (b"451-x\r\n250 y\r\n", Reply(451, b"451-x\n250 y\n")),
        (b"\r\n", Reply(NONSENSE, b"\n")),
        (b"hm\r\n", Reply(NONSENSE, b"hm\n")),
        (b"2x0 hm\r\n", Reply(NONSENSE, b"2x0 hm\n")),
        (b"\xb2\xb3\xb9 hm\r\n", Reply(NONSENSE, b"\xb2\xb3\xb9 hm\n")),
    ],
)
def test_a_reply_has_the_code_of_its_first_line_and_the_text_of_all(data: bytes, reply: Reply) -> None:
    reader = ReplyReader()
    reader.feed(data)
    assert reader.take() == reply
    assert reader.take() is None


def test_a_reply_without_end_is_not_kept_in_memory() -> None:
    reader = ReplyReader()
    for _ in range(100):
        reader.feed(b"220-" + b"x" * 10_000 + b"\r\n")
        assert reader.take() is None
    reader.feed(b"220-" + b"x" * 100_000)
    with pytest.raises(EndlessReplyError):
        reader.take()


@given(st.lists(st.integers(0, 999), min_size=1, max_size=12))
def test_any_replies_lead_to_one_report_on_the_message(codes: list[int]) -> None:
    reports: list[bytes] = []
    conversation = converse(b"192.0.2.1", Hello(b"me.example"), b"s@x", [b"a@x", b"b@x"], reports)
    assert next(conversation) == b""
    asked_for_content = False
    final = b""
    for code in (*codes, *[250] * 12):
        try:
            asked_for_content |= conversation.send(Reply(code, b"said\n")) is CONTENT
        except StopIteration as end:
            final = end.value
            break
    assert final[:1] in (b"K", b"Z", b"D")
    assert final.endswith(b"\0")
    assert [each[:1] for each in reports] in [
        [],
        *[[one, two] for one in (b"r", b"h", b"s") for two in (b"r", b"h", b"s")],
    ]
    # Nothing is reported as taken without the message having been sent.
    assert final[:1] != b"K" or asked_for_content
