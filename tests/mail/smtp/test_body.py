from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.mail.smtp.body import Body, StrayNewlineError


def slowly(data: bytes) -> tuple[bytes, int, bytes | None]:
    """The rules of SMTP's data, a line at a time: the message, its hops, and what follows the end (None: no end).

    Raises StrayNewlineError. Written down independently of Body, from the rules rather than from a state machine.
    """
    lines = []
    rest: bytes | None = None
    while data:
        line, newline, data = data.partition(b"\n")
        if not newline:
            # Not a whole line: nothing can be said of it yet.
            break
        if not line.endswith(b"\r"):
            raise StrayNewlineError
        if line == b".\r":
            rest = data
            break
        lines.append(line.removesuffix(b"\r"))
    header = lines[: lines.index(b"")] if b"" in lines else lines
    hops = sum(line.lower().startswith((b"received", b"delivered")) for line in header)
    text = b"".join((line if line.startswith(b".\r") else line.removeprefix(b".")) + b"\n" for line in lines)
    return text, hops, rest


def quickly(pieces: list[bytes]) -> tuple[bytes, int, bytes | None]:
    body = Body()
    text = b""
    rest = b""
    for piece in pieces:
        if body.done:
            rest += piece
            continue
        text += body.feed(piece)
    return text, body.hops, body.rest + rest if body.done else None


LINES = st.lists(
    st.sampled_from(
        [
            *(b"", b".", b"..", b".\r", b".\rx", b"\r", b"x", b"a.b", b"\0\xff"),
            *(
                b"Received: x",
                b"rEcEiVeDx",
                b"Delivered-To: y",
                b"Delivere",
                b"receive",
                b"..Received: z",
                b" Received: w",
            ),
        ]
    ),
    max_size=12,
)
ENDS = st.sampled_from([b"\r\n"] * 9 + [b"\n", b"\r", b"\r\r\n"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    text = b"".join(line + draw(ENDS) for line in draw(LINES))
    return text + draw(st.sampled_from([b".\r\n", b".\r\nQUIT\r\n", b".\r\n.\r\n", b"", b"."]))


@settings(max_examples=400, deadline=None)
@given(data=messages(), size=st.integers(1, 7))
def test_a_message_is_what_the_rules_say_in_pieces_of_any_size(data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    try:
        text, hops, rest = slowly(data)
    except StrayNewlineError:
        for each in ([data], pieces):
            with pytest.raises(StrayNewlineError):
                quickly(each)
        return
    found = quickly([data])
    assert found == quickly(pieces)
    if rest is None:
        # What may still be the beginning of the end is held back; what is certain of the last line is not.
        assert found[2] is None
        assert found[0].startswith(text) or (text.startswith(found[0]) and len(text) - len(found[0]) < 4)
    else:
        assert found == (text, hops, rest)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b".\r\n", b""),
        (b"..\r\n.\r\n", b".\n"),
        (b".x\r\n.\r\n", b"x\n"),
        (b".\rx\r\n.\r\n", b".\rx\n"),
        (b"a\rb\r\r\n.\r\n", b"a\rb\r\n"),
        (b"a\r\n..\r\n.b\r\n.\r\n", b"a\n.\nb\n"),
    ],
)
def test_dots_and_carriage_returns(sent: bytes, message: bytes) -> None:
    assert quickly([sent]) == (message, 0, b"")


@pytest.mark.parametrize("sent", [b"\n", b"x\n", b".\n", b"\r\n.\n", b"x\r\n\n", b"\r\n\r\n.\n.\r\n", b"x\r\r\r\n\n"])
def test_a_newline_alone_is_refused_wherever_it_stands(sent: bytes) -> None:
    with pytest.raises(StrayNewlineError):
        quickly([sent])
    with pytest.raises(StrayNewlineError):
        quickly([bytes([each]) for each in sent])


@pytest.mark.parametrize(
    ("header", "hops"),
    [
        (b"Received: a\r\n" * 99, 99),
        (b"RECEIVED\r\nreceived\r\nReCeIvEd from\r\n", 3),
        (b"Delivered-To: a\r\nDelivered\r\n", 2),
        (b"X-Received: a\r\n Received: b\r\nDeliver\r\nReceive\r\n", 0),
        (b"Subject: x\r\n\r\nReceived: in the body\r\n", 0),
        (b"\r\nReceived: in the body\r\n", 0),
        (b"..Received: a\r\n.Received: b\r\n", 0),
        (b"Received: a\r\n.\rX\r\nReceived: b\r\n", 2),
    ],
)
def test_hops_are_counted_in_the_header_alone_however_it_is_cut(header: bytes, hops: int) -> None:
    data = header + b".\r\n"
    for size in (1, 2, 3, 7, 8, 9, 10, 11, len(data)):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert quickly(pieces)[1] == hops, size


def test_a_large_message_does_not_stay_in_memory() -> None:
    body = Body()
    block = b"x" * 998 + b"\r\n"
    size = sum(len(body.feed(block * 64)) for _ in range(200))
    assert size >= 200 * 64 * 999 - 2
    assert len(body._held) + len(body._carried) < 20
