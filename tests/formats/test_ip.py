from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import ip


@given(st.binary(min_size=16, max_size=16))
def test_ipv6_is_shown_and_read_as_the_standard_library_does(address: bytes) -> None:
    there = str(ipaddress.IPv6Address(address)).encode()
    assert ip.parse6(there) == address
    if address[:12] not in (bytes(12), ip.MAPPED):
        assert ip.show(address) == there
    assert ip.parse6(ipaddress.IPv6Address(address).exploded.encode()) == address


@given(st.text("0123456789abcdefF:.%g", max_size=24))
def test_what_is_no_address_is_none(text: str) -> None:
    try:
        expected: bytes | None = None if "%" in text else ipaddress.IPv6Address(text).packed
    except ValueError:
        expected = None
    assert ip.parse6(text.encode()) == expected


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (b"[192.0.2.1]", bytes((192, 0, 2, 1))),
        (b"[IPv6:::1]", bytes(15) + b"\1"),
        (b"[ipv6:2001:db8::7]", bytes.fromhex("20010db8000000000000000000000007")),
        (b"[::1]", None),
        (b"192.0.2.1", None),
        (b"[IPv6:::1", None),
        (b"[192.0.2.256]", None),
        (b"[]", None),
    ],
)
def test_an_address_literal_stands_in_brackets(host: bytes, address: bytes | None) -> None:
    assert ip.literal(host) == address


def test_a_customer_is_an_ipv4_address_or_an_ipv6_network() -> None:
    assert ip.network(bytes((192, 0, 2, 1))) == b"192.0.2.1"
    addresses = [ip.parse(b"2001:db8:1:2::3"), ip.parse(b"2001:db8:1:2:ffff::9")]
    assert [ip.network(each) for each in addresses if each is not None] == [b"2001:db8:1:2::"] * 2
    assert ip.parse(b"::ffff:192.0.2.1") == bytes((192, 0, 2, 1))
