from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.queue.bouncetext import Postmaster, notice, paragraph

WHO = Postmaster(b"MAILER-DAEMON", b"mail.example.com", b"postmaster@mail.example.com")
MOMENT = 1795474930


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (b"No. (#5.1.1)\n", b"<a@b>:\nNo. (#5.1.1)\n\n"),
        (b"No newline", b"<a@b>:\nNo newline\n\n"),
        (b"", b"<a@b>:\n\n"),
        (b"one\n\ntwo\n", b"<a@b>:\none\n/two\n\n"),
        (b"one\n\n\ntwo\n", b"<a@b>:\none\n//two\n\n"),
        (b"\nfirst empty\n", b"<a@b>:\n/first empty\n\n"),
    ],
)
def test_a_paragraph_has_no_blank_line_within(report: bytes, text: bytes) -> None:
    assert paragraph(b"a@b", report) == text


def test_a_newline_in_an_address_cannot_forge_a_paragraph() -> None:
    assert paragraph(b"a\n\n<x@y>:@b", b"No.\n") == b"<a__<x@y>:@b>:\nNo.\n\n"


@given(st.binary(max_size=60).map(lambda each: each.replace(b"\0", b"")))
def test_every_paragraph_begins_with_the_recipient_and_ends_with_a_blank_line(report: bytes) -> None:
    text = paragraph(b"a@b", report)
    assert text.startswith(b"<a@b>:\n")
    assert text.endswith(b"\n\n")
    assert b"\n\n" not in text.rstrip(b"\n")


def test_a_bounce_is_the_text_that_real_qmail_sends() -> None:
    bounce = notice(WHO, b"jiro@mail.example.com", MOMENT)
    assert bounce is not None
    assert (bounce.sender, bounce.recipient) == (b"", b"jiro@mail.example.com")
    assert bounce.head == (
        b"Date: 23 Nov 2026 23:02:10 -0000\n"
        b"From: MAILER-DAEMON@mail.example.com\n"
        b"To: jiro@mail.example.com\n"
        b"Subject: failure notice\n"
        b"\n"
        b"Hi. This is the qmail-send program at mail.example.com.\n"
        b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
        b"This is a permanent error; I've given up. Sorry it didn't work out.\n"
        b"\n"
    )
    assert bounce.middle == (b"--- Below this line is a copy of the message.\n\nReturn-Path: <jiro@mail.example.com>\n")


def test_the_bounce_of_a_bounce_goes_to_the_postmaster() -> None:
    bounce = notice(WHO, b"", MOMENT)
    assert bounce is not None
    assert (bounce.sender, bounce.recipient) == (b"#@[]", b"postmaster@mail.example.com")
    assert bounce.head.endswith(
        b"mail.example.com.\nI tried to deliver a bounce message to this address, but the bounce bounced!\n\n"
    )
    assert bounce.middle == b"--- Below this line is the original bounce.\n\nReturn-Path: <>\n"


def test_the_bounce_of_a_double_bounce_is_dropped() -> None:
    assert notice(WHO, b"#@[]", MOMENT) is None


def test_strange_senders_are_quoted_in_the_header() -> None:
    bounce = notice(WHO, b'a "b"@c.example', MOMENT)
    assert bounce is not None
    assert b'\nTo: "a \\"b\\""@c.example\n' in bounce.head
    assert bounce.recipient == b'a "b"@c.example'
