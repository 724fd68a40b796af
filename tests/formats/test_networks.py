"""Addresses and networks, beside the standard library's ipaddress."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from svtree.formats.networks import V4, V6, Network, format_v4, format_v6, parse, parse_network, parse_v4, parse_v6

# Zero groups are what is hard about IPv6.
GROUPS = st.lists(st.sampled_from([0, 0, 1, 0xDB8, 0xFFFF]), min_size=8, max_size=8)
NUMBERS = st.integers(0, 2**V6 - 1) | GROUPS.map(lambda groups: sum(each << 16 * at for at, each in enumerate(groups)))
TEXTS = st.text("0123456789abcdefAF:.g/", max_size=20)


@given(NUMBERS)
def test_an_ipv6_address_is_written_as_rfc_5952_wants_it(number: int) -> None:
    text = format_v6(number)
    assert text == str(ipaddress.IPv6Address(number)).encode()
    assert parse_v6(text) == number
    assert parse_v6(text.upper()) == number
    assert parse_v6(ipaddress.IPv6Address(number).exploded.encode()) == number


@given(st.integers(0, 2**V4 - 1))
def test_an_ipv4_address_is_four_numbers(number: int) -> None:
    assert format_v4(number) == str(ipaddress.IPv4Address(number)).encode()
    assert parse_v4(format_v4(number)) == number


@given(TEXTS | NUMBERS.map(format_v6).map(bytes.decode))
@example("1:2:3:4:5:6:7::")
@example("::2:3:4:5:6:7:8")
@example("1:2:3:4::5:6:7:8")
@example(":1:2:3:4:5:6:7")
@example("1:2:3:4:5:6:7:")
@example("::1.2.3.4")
@example("1.2.3.4::")
@example("1::2::3")
@example(":::")
@example("::01.2.3.4")
@example("00001::")
@example("::0x1")
@example("::1_1")
def test_what_is_an_address_is_what_the_standard_library_takes_for_one(text: str) -> None:
    try:
        expected = ipaddress.ip_address(text)
    except ValueError:
        assert parse(text.encode()) is None
        return
    mapped = expected.ipv4_mapped if isinstance(expected, ipaddress.IPv6Address) else None
    if mapped is not None:
        expected = mapped
    assert parse(text.encode()) == (expected.max_prefixlen, int(expected))


@given(NUMBERS, st.integers(0, V6))
def test_a_network_is_masked_and_says_whether_that_changed_it(number: int, length: int) -> None:
    expected = ipaddress.IPv6Network((number, length), strict=False)
    found = parse_network(b"%s/%d" % (format_v6(number), length))
    assert found is not None
    if number >> V4 == 0xFFFF and length >= 96:
        assert found[0].bits == V4
        return
    assert found == (Network(V6, int(expected.network_address), length), int(expected.network_address) != number)
    assert found[0].text == (str(expected) if length < V6 else str(expected.network_address)).encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"192.168.3.0/24", b"192.168.3.0/24"),
        (b"192.168.3.7/24", b"192.168.3.0/24"),
        (b"127./8", b"127.0.0.0/8"),
        (b"10/8", b"10.0.0.0/8"),
        (b"192.168/16", b"192.168.0.0/16"),
        (b"192.168.1/17", b"192.168.0.0/17"),
        (b"0.0.0.0/0", b"0.0.0.0/0"),
        (b"192.0.2.1/32", b"192.0.2.1"),
        (b"192.0.2.1", b"192.0.2.1"),
        (b"2001:DB8::/32", b"2001:db8::/32"),
        (b"[2001:db8::1]", b"2001:db8::1"),
        (b"[2001:db8::]/32", b"2001:db8::/32"),
        (b"[2001:db8::/32]", b"2001:db8::/32"),
        (b"::/0", b"::/0"),
        (b"::ffff:192.0.2.1", b"192.0.2.1"),
        (b"::ffff:192.0.2.0/121", b"192.0.2.0/25"),
        (b"::ffff:0:0/96", b"0.0.0.0/0"),
        (b"::ffff:0:0/95", b"::fffe:0:0/95"),
    ],
)
def test_a_network_has_one_normal_form(text: bytes, expected: bytes) -> None:
    found = parse_network(text)
    assert found is not None
    assert found[0].text == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"/",
        b"/8",
        b"10.",
        b"10.0.0.0/33",
        b"10.0.0.0/-1",
        b"10.0.0.0/08",
        b"10.0.0.0/",
        b"10.0.0.0/8/8",
        b"10.0.0.0.0/8",
        b"10..0/8",
        b"256/8",
        b"010.0.0.0/8",
        b"10.0.0.0/255.0.0.0",
        b"::/129",
        b"[10.0.0.1]",
        b"[::1",
        b"::1]",
        b"[::1]1",
        b"[[::1]]",
        b"fe80::1%eth0",
        b" ::1",
    ],
)
def test_what_is_no_network_is_none(text: bytes) -> None:
    assert parse_network(text) is None
