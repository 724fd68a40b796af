from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.tcp import blocklists
from svtree.tcp.blocklists import ACCEPT, BOUNCE, REJECT, UNDECIDED, Source, Verdict
from svtree.tcp.refusal import GOODBYE, OK, Refusal, message

NO = b"451 no"


def test_polite_verbs_are_answered_politely_and_everything_else_with_the_reason() -> None:
    session = Refusal(NO)
    assert session.feed(b"helo x\r\nMAIL from:<>\nrcpt to:<a>\r\nhelox\n") == OK + OK + b"451 no\r\n" * 2
    assert not session.over
    assert session.feed(b"quit\r\nnoop\r\n") == GOODBYE
    assert session.over


@given(st.lists(st.sampled_from([b"helo", b" ", b"\r", b"\n", b"rcpt", b"noop\r\n", b"x"]), max_size=30), st.data())
def test_however_the_dialogue_is_cut_the_replies_are_the_same(words: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(words)
    whole = Refusal(NO).feed(data)
    session = Refusal(NO)
    out = b""
    while data:
        size = draw.draw(st.integers(1, len(data)))
        out += session.feed(data[:size])
        data = data[size:]
    assert out == whole


def test_a_line_without_end_takes_no_memory() -> None:
    session = Refusal(NO)
    for _ in range(100):
        assert session.feed(b"noop " + b"x" * 10_000) == b""
    assert len(session._partial) == 512
    assert session.feed(b"\n") == OK


@given(st.binary(max_size=400))
def test_a_reason_from_outside_is_one_printable_line_of_bounded_length(text: bytes) -> None:
    line = message(text, permanent=True)
    assert line.startswith(b"553 ")
    assert len(line) == 4 + min(len(text), 200)
    assert all(32 <= byte <= 126 for byte in line)


class Lists:
    """A directory of lists: the texts and addresses under their names; None is a server that fails."""

    def __init__(self, entries: dict[bytes, bytes | None]) -> None:
        self.entries = entries

    def text(self, name: bytes) -> bytes:
        found = self.entries.get(name, b"")
        if found is None:
            raise OSError
        return found

    def exactly(self, name: bytes) -> list[bytes]:
        return [b"127.0.0.2"] if self.text(name) else []


BAD = Source(b"bad", clears=False, bounce=False, closed=False)
BOUNCING = Source(b"bad", clears=False, bounce=True, closed=False)
CLOSED = Source(b"down", clears=False, bounce=True, closed=True)
OPEN = Source(b"down", clears=False, bounce=True, closed=False)
GOOD = Source(b"good", clears=True, bounce=False, closed=False)
GOOD_DOWN = Source(b"down", clears=True, bounce=False, closed=False)
GOOD_DOWN_CLOSED = Source(b"down", clears=True, bounce=False, closed=True)
ENTRIES: dict[bytes, bytes | None] = {b"4.3.2.1.bad": b"text", b"4.3.2.1.good": b"x", b"4.3.2.1.down": None}


@pytest.mark.parametrize(
    ("sources", "verdict"),
    [
        ([], Verdict(UNDECIDED)),
        ([BAD], Verdict(REJECT, b"text")),
        ([BOUNCING, GOOD], Verdict(BOUNCE, b"text")),
        ([GOOD, BAD], Verdict(ACCEPT)),
        ([OPEN], Verdict(UNDECIDED, b"", only_temporary=True)),
        ([OPEN, BOUNCING], Verdict(BOUNCE, b"text", only_temporary=True)),
        ([CLOSED, BOUNCING], Verdict(REJECT, b"temporary RBL lookup error", only_temporary=True)),
        ([GOOD_DOWN, BAD], Verdict(ACCEPT)),
        ([GOOD_DOWN_CLOSED, BOUNCING], Verdict(BOUNCE, b"text", only_temporary=True)),
    ],
)
def test_the_first_list_that_can_say_decides(sources: list[Source], verdict: Verdict) -> None:
    assert blocklists.ask(sources, b"1.2.3.4", lambda: Lists(ENTRIES)) == verdict


def test_a_refusal_is_for_good_only_when_every_list_could_be_asked() -> None:
    assert Verdict(BOUNCE, b"x").permanent
    assert not Verdict(BOUNCE, b"x", only_temporary=True).permanent
    assert not Verdict(REJECT, b"x").permanent


def test_an_address_is_looked_up_in_reverse() -> None:
    assert blocklists.reversed_address(b"1.2.3.4") == b"4.3.2.1."
    assert blocklists.reversed_address(b"") == b""


@pytest.mark.parametrize(
    ("ip", "digits"),
    [
        # The example of RFC 5782, section 2.4.
        (b"2001:db8:1:2:3:4:567:89ab", b"b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2."),
        (b"2001:DB8::1", b"1" + b".0" * 23 + b".8.b.d.0.1.0.0.2."),
        (b"fe80::1%eth0", b"1" + b".0" * 28 + b".8.e.f."),
        (b"::ffff:192.0.2.1", b"1.2.0.192."),
    ],
)
def test_lists_have_ipv6_addresses_by_their_digits_in_reverse(ip: bytes, digits: bytes) -> None:
    assert blocklists.reversed_address(ip) == digits
