from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.mail.pop3.stuffing import Stuffing


def sent(pieces: list[bytes], lines: int | None = None) -> bytes:
    stuffing = Stuffing(lines)
    out = b""
    for piece in pieces:
        if stuffing.done:
            break
        out += stuffing.feed(piece)
    return out + stuffing.finish()


def slowly(data: bytes, lines: int | None) -> bytes:
    """What qmail-pop3d sends, a line at a time."""
    out = []
    in_header = True
    body = 0
    for line in _lines(data):
        text = line.removesuffix(b"\n")
        if not in_header:
            body += 1
            if lines is not None and body > lines:
                break
        if not text:
            in_header = False
        out.append((b"." if text.startswith(b".") else b"") + text + b"\r\n")
    return b"".join([*out, b"\r\n.\r\n"])


def _lines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1].removesuffix(b"\n")
    return lines if lines[-1] else lines[:-1]


@pytest.mark.parametrize(
    ("message", "lines", "wire"),
    [
        (b"", None, b"\r\n.\r\n"),
        (b"a\n", None, b"a\r\n\r\n.\r\n"),
        (b"a", None, b"a\r\n\r\n.\r\n"),
        (b"a\n\n.\n..b\nc", None, b"a\r\n\r\n..\r\n...b\r\nc\r\n\r\n.\r\n"),
        (b".a\n", None, b"..a\r\n\r\n.\r\n"),
        (b"a\r\n", None, b"a\r\r\n\r\n.\r\n"),
        (b"h: 1\n\nbody\nmore\n", 0, b"h: 1\r\n\r\n\r\n.\r\n"),
        (b"h: 1\n\nbody\nmore\n", 1, b"h: 1\r\n\r\nbody\r\n\r\n.\r\n"),
        (b"h: 1\n\nbody\nmore", 2, b"h: 1\r\n\r\nbody\r\nmore\r\n\r\n.\r\n"),
        (b"h: 1\n\nbody\nmore", 99, b"h: 1\r\n\r\nbody\r\nmore\r\n\r\n.\r\n"),
        (b"\nbody\nmore\n", 1, b"\r\nbody\r\n\r\n.\r\n"),
        (b"h: 1\nno body\n", 0, b"h: 1\r\nno body\r\n\r\n.\r\n"),
    ],
)
def test_a_message_is_sent_with_its_dots_doubled_and_an_empty_line_at_the_end(
    message: bytes, lines: int | None, wire: bytes
) -> None:
    assert sent([message], lines) == wire
    assert sent([bytes([each]) for each in message], lines) == wire
    assert slowly(message, lines) == wire


TEXT = st.lists(st.sampled_from([b"\n", b"\n", b".", b"a", b"\r", b"h: 1", b"\n\n"]), max_size=30).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(message=TEXT, lines=st.one_of(st.none(), st.integers(0, 6)), size=st.integers(1, 5))
def test_a_message_in_pieces_of_any_size_is_sent_the_same(message: bytes, lines: int | None, size: int) -> None:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    assert sent(pieces, lines) == sent([message], lines) == slowly(message, lines)


def test_no_more_is_asked_for_than_is_wanted() -> None:
    stuffing = Stuffing(1)
    assert stuffing.feed(b"h: 1\n\none\ntwo\n") == b"h: 1\r\n\r\none\r\n"
    assert stuffing.done
