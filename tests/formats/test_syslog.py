from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import syslog
from svtree.formats.syslog import Destination, DestinationError, Message, parse

LOCAL = (11, 5, 9, 8, 7)
PRIORITIES = st.integers(0, 191)
TAGS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters=" :[]"), min_size=1).map(
    str.encode
)
LINES = st.binary().map(lambda data: data.rstrip(b"\0\n"))


def test_golden_messages() -> None:
    assert syslog.rfc3164(30, LOCAL, b"smtpd", b"text") == b"<30>Nov  5 09:08:07 smtpd: text"
    assert syslog.rfc5424(22, 1_795_392_000_123_456_789, b"a.example", b"qmail", b"text") == (
        b"<22>1 2026-11-23T00:00:00.123456Z a.example qmail - - - text"
    )
    assert syslog.framed(b"<22>1 x") == b"7 <22>1 x"
    assert syslog.journal(30, b"smtpd", b"text") == (
        b"PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=smtpd\nMESSAGE=text\n"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<30>Nov  5 09:08:07 smtpd: text", Message(3, 6, b"", b"smtpd", b"", b"text")),
        (b"<30>Nov 15 09:08:07 smtpd[12]: text\n\0", Message(3, 6, b"", b"smtpd", b"12", b"text")),
        (b"<30>Nov 15 09:08:07 host smtpd[12]: text", Message(3, 6, b"host", b"smtpd", b"12", b"text")),
        (b"<30>smtpd: text", Message(3, 6, b"", b"smtpd", b"", b"text")),
        (b"<30>no tag here", Message(3, 6, b"", b"", b"", b"no tag here")),
        (b"<30>two words: x", Message(3, 6, b"two", b"words", b"", b"x")),
        (b"<30>odd[x]: text", Message(3, 6, b"", b"", b"", b"odd[x]: text")),
        (b"<192>smtpd: x", Message(1, 5, b"", b"", b"", b"<192>smtpd: x")),
        (b"<x>y", Message(1, 5, b"", b"", b"", b"<x>y")),
        (b"<>", Message(1, 5, b"", b"", b"", b"<>")),
        (b"", Message(1, 5, b"", b"", b"", b"")),
        (b"<22>1 2026-11-23T00:00:00Z h app 9 - - text", Message(2, 6, b"h", b"app", b"9", b"text")),
        (b"<22>1 - - - - - -", Message(2, 6, b"", b"", b"", b"")),
        (
            b'<22>1 - h app - ID [x@1 y="z"] \xef\xbb\xbft',
            Message(2, 6, b"h", b"app", b"", b'ID [x@1 y="z"] \xef\xbb\xbft'),
        ),
        (b"<22>1 - h app - - - \xef\xbb\xbft", Message(2, 6, b"h", b"app", b"", b"t")),
    ],
)
def test_what_comes_in(data: bytes, message: Message) -> None:
    assert parse(data) == message


@given(PRIORITIES, TAGS, LINES)
def test_a_local_message_comes_back(priority: int, tag: bytes, text: bytes) -> None:
    assert parse(syslog.rfc3164(priority, LOCAL, tag, text)) == Message(
        priority // 8, priority % 8, b"", tag, b"", text
    )


@given(PRIORITIES, TAGS, LINES.filter(lambda text: not text.startswith(b"\xef\xbb\xbf")))
def test_a_remote_message_comes_back(priority: int, tag: bytes, text: bytes) -> None:
    back = parse(syslog.rfc5424(priority, 10**18, b"h", tag, text))
    shown = b"" if tag[:48] == b"-" else tag[:48]
    assert back == Message(priority // 8, priority % 8, b"h", shown, b"", text)


@given(st.binary())
def test_anything_is_taken_and_makes_one_line(data: bytes) -> None:
    line = parse(data).line()
    assert not any(byte < 32 or byte == 127 for byte in line)


@given(st.binary())
def test_every_byte_can_be_told_from_the_line(data: bytes) -> None:
    assert syslog.visible(data).decode("latin-1").encode("latin-1").decode("unicode_escape").encode("latin-1") == data


def test_a_line_says_who_and_how_bad() -> None:
    assert Message(3, 4, b"", b"smtpd", b"12", b"a\nb").line() == b"daemon.warning smtpd[12]: a\\nb"
    assert Message(20, 7, b"host", b"x", b"", b"").line() == b"local4.debug host x: "
    assert Message(1, 5, b"", b"", b"", b"text").line() == b"user.notice text"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (b"", Destination("unix", b"/dev/log", 0)),
        (b"unix:../socket", Destination("unix", b"../socket", 0)),
        (b"udp:127.0.0.1:514", Destination("udp", b"127.0.0.1", 514)),
        (b"tcp:[::1]:601", Destination("tcp", b"::1", 601)),
        (b"tls:log.example:6514", Destination("tls", b"log.example", 6514)),
        (b"journald", Destination("journald", b"/run/systemd/journal/socket", 0)),
    ],
)
def test_where_messages_go(value: bytes, where: Destination) -> None:
    assert syslog.destination(value) == where
    assert syslog.destination(where.show()) == where


@pytest.mark.parametrize(
    "value", [b"x", b"unix:", b"udp:", b"udp:host", b"udp::5", b"tcp:h:x", b"tcp:h:65536", b"tls:h:"]
)
def test_what_is_no_destination(value: bytes) -> None:
    with pytest.raises(DestinationError):
        syslog.destination(value)
