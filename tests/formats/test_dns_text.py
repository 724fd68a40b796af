"""TXT records, as block lists serve them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import dns
from svtree.system.resolver import Resolver
from tests.tcp.nameserver import Zone, nameserver


def answer(*data: bytes) -> dns.Answer:
    return dns.Answer(False, 0, tuple((dns.TXT, 0, each) for each in data), b"")


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ((), b""),
        ((b"\3abc",), b"abc"),
        ((b"\1a\2bc", b"\1d"), b"abcd"),
        ((b"\0\0\1x\0",), b"x"),
        ((b"\4a\n\xe9\x7f",), b"a???"),
        ((b"\xffcut off",), b"cut off"),
    ],
)
def test_the_strings_of_all_records_are_one_printable_text(records: tuple[bytes, ...], text: bytes) -> None:
    assert dns.text(answer(*records)) == text


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_whatever_a_record_holds_its_text_is_printable_and_no_longer(records: list[bytes]) -> None:
    text = dns.text(answer(*records))
    assert len(text) <= sum(map(len, records))
    assert all(32 <= byte <= 126 for byte in text)


def test_records_of_another_kind_are_not_text() -> None:
    assert dns.text(dns.Answer(False, 0, ((dns.A, 0, b"\3abc"),), b"")) == b""


def test_a_text_longer_than_a_datagram_of_old_comes_whole() -> None:
    zone = Zone(texts={"long.example": [b"x" * 1000], "cut.example": [b"y" * 3000]})
    with nameserver(zone) as server:
        asking = Resolver({b"DNSCACHEIP": server.ip.encode()}, port=server.port, patience=(2.0,))
        assert asking.text(b"long.example") == b"x" * 1000
        assert asking.text(b"cut.example") == b"y" * 3000
        assert asking.text(b"other.example") == b""
        zone.truncated = True
        assert asking.text(b"cut.example") == b"y" * 3000
        zone.code = 2
        with pytest.raises(OSError, match="temporarily unavailable"):
            asking.text(b"long.example")
        with pytest.raises(OSError, match="63 bytes"):
            asking.text(b"x" * 64)
