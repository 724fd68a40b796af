"""Networks and IPv6 in rules: which keys they have, and that the longest that matches decides."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import cdb
from svtree.formats.networks import parse_network
from svtree.formats.rulekeys import NETWORKS, NO_LENGTHS, Lengths, candidates, lengths, network_key, network_keys
from svtree.formats.rules import Decision, RulesError, decide, parse, records

Net: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def keys(line: bytes) -> list[bytes]:
    return [key for key, _ in records(line) if key != NETWORKS]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (b"192.168.3.0/24", [b"192.168.3."]),
        (b"192.168.0.0/16", [b"192.168."]),
        (b"127./8", [b"127."]),
        (b"192.0.2.1/32", [b"192.0.2.1"]),
        (b"10.64.0.1/10", [b"10.64.0.0/10"]),
        (b"0.0.0.0/0", [b"0.0.0.0/0"]),
        (b"1.2.3-4.0/24", [b"1.2.3.", b"1.2.4."]),
        (b"1.2.3-4.9/31", [b"1.2.3.8/31", b"1.2.4.8/31"]),
        (b"2001:db8::/32", [b"2001:db8::/32"]),
        (b"2001:0DB8:0:0::1", [b"2001:db8::1"]),
        (b"2001:db8::1/128", [b"2001:db8::1"]),
        (b"[2001:db8::1]", [b"2001:db8::1"]),
        (b"[2001:db8::]/32", [b"2001:db8::/32"]),
        (b"::1", [b"::1"]),
        (b"::", [b"::"]),
        (b"::/0", [b"::/0"]),
        (b"joe@2001:DB8::1", [b"joe@2001:db8::1"]),
        (b"joe@[::1]", [b"joe@::1"]),
        (b"a:b@::1", [b"a:b@::1"]),
        (b"::ffff:192.0.2.1", [b"192.0.2.1"]),
        (b"joe@::ffff:192.0.2.1", [b"joe@192.0.2.1"]),
        (b"::ffff:192.0.2.0/120", [b"192.0.2."]),
        # What the original takes for an address of its own stays one.
        (b"10.0.0.0/33", [b"10.0.0.0/33"]),
        (b"host/5", [b"host/5"]),
        (b"=host/8", [b"=host/8"]),
        (b"joe@10.0.0.0/8", [b"joe@10.0.0.0/8"]),
        (b"[10.0.0.1]", [b"[10.0.0.1]"]),
    ],
)
@pytest.mark.parametrize("told", [b"allow", b'deny,A=":allow"'])
def test_an_address_has_these_keys(address: bytes, expected: list[bytes], told: bytes) -> None:
    assert keys(address + b":" + told) == expected
    assert [rule.address for rule in parse(address + b":" + told)] == [address]


@pytest.mark.parametrize(
    "line",
    [
        b"2001:db8::1",
        b"2001:db8::1:alow",
        b"2001:db8::/129:allow",
        b"2001:db8::::allow",
        b"1::2::3:deny",
        b"joe@::1/64:deny",
        b"[::1:deny",
        b"::allow",
        b"fe80::1%eth0:allow",
        b" ::1:allow",
        b"=::1:allow",
        b"::1-5:allow",
    ],
)
def test_an_ipv6_address_that_is_none_is_no_rule(line: bytes) -> None:
    for read in (parse, records):
        with pytest.raises(RulesError) as caught:
            list(read(b":deny\n" + line + b" \n"))
        assert (caught.value.line, caught.value.text) == (2, line)


def test_a_line_that_the_original_understands_keeps_its_meaning() -> None:
    # The first colon ends the address where "allow" or "deny" follows it.
    assert list(records(b'10.:allow,A="::1:deny"')) == [(b"10.", b"+A=::1:deny\0")]
    with pytest.raises(RulesError, match="a comma is missing"):
        list(records(b"10.:deny::1:allow"))


def test_without_networks_of_their_own_there_is_no_record_of_lengths() -> None:
    text = b"10.0.0.0/8:allow\n192.0.2.1/32:deny\n2001:db8::1:deny\n::ffff:10.1.0.0/112:deny\n:allow"
    found = dict(records(text))
    assert NETWORKS not in found
    assert lengths(found.get) == NO_LENGTHS


def test_the_lengths_there_are_come_last() -> None:
    text = b"10.64.0.0/10:allow\n2001:db8::/32:deny\n1.0.0.0/31:deny\n10.0.0.0/10:deny\n1.2.3.0/24:deny\n"
    assert list(records(text))[-1] == (NETWORKS, b"4/10 4/31 6/32")
    assert lengths(dict(records(text)).get) == Lengths((31, 24, 16, 10, 8), (32,))


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.integers(0, 33)), min_size=1, max_size=20))
def test_the_keys_of_many_whole_networks_are_those_of_their_numbers(found: list[tuple[bytes, int]]) -> None:
    written = [b"%d.%d.%d.%d/%d" % (*quad, length) for quad, length in found]
    networks = [parsed[0] for each in written if (parsed := parse_network(each)) is not None]
    beyond: set[tuple[int, int]] = set()
    made = network_keys(written, beyond)
    assert [key for key, each in zip(made, written, strict=True) if parse_network(each)] == list(
        map(network_key, networks)
    )
    assert [key for key, each in zip(made, written, strict=True) if not parse_network(each)] == [
        each for each in written if not parse_network(each)
    ]
    assert beyond == {(each.bits, each.length) for each in networks if b"/" in network_key(each)}


@pytest.mark.parametrize(
    "odd", [b"1.2.3.4", b"01.2.3.4/9", b"1.2.3.256/9", b"1.2.3.4/", b"1.2/16", b"1.2.3./24", b"a.b.c.d/8"]
)
def test_one_that_is_no_whole_network_changes_nothing_for_the_others(odd: bytes) -> None:
    whole = [b"1.2.3.4/9", b"10.1.2.3/24"]
    beyond: set[tuple[int, int]] = set()
    made = network_keys([whole[0], odd, whole[1]], beyond)
    assert made == [b"1.0.0.0/9", network_keys([odd], set())[0], b"10.1.2."]
    assert beyond == {(32, 9)}


@given(st.binary(max_size=20) | st.text("46/ 0123", max_size=20).map(str.encode))
def test_damaged_lengths_are_left_out(data: bytes) -> None:
    found = lengths({NETWORKS: data}.get)
    assert all(0 <= length < 32 for length in found.v4)
    assert all(0 <= length < 128 for length in found.v6)
    assert all(isinstance(name, bytes) for name in candidates(b"192.0.2.1", None, None, found))


def test_networks_are_asked_for_longest_first_between_the_name_and_its_ends() -> None:
    there = Lengths((31, 24, 16, 12, 8, 0), (64, 32, 0))
    assert list(candidates(b"172.16.3.5", b"a.example", b"joe", there)) == [
        b"joe@172.16.3.5",
        b"joe@=a.example",
        b"172.16.3.5",
        b"=a.example",
        b"172.16.3.4/31",
        b"172.16.3.",
        b"172.16.",
        b"172.16.0.0/12",
        b"172.",
        b"0.0.0.0/0",
        b"=.example",
        b"=",
        b"",
    ]
    assert list(candidates(b"2001:db8::1", b"a.example", b"joe", there)) == [
        b"joe@2001:db8::1",
        b"joe@=a.example",
        b"2001:db8::1",
        b"=a.example",
        b"2001:db8::/64",
        b"2001:db8::/32",
        b"::/0",
        b"=.example",
        b"=",
        b"",
    ]


@pytest.mark.parametrize(
    ("ip", "same"),
    [
        (b"2001:0DB8:0::0001", b"2001:db8::1"),
        (b"fe80::1%eth0", b"fe80::1"),
        (b"::ffff:192.0.2.1", b"192.0.2.1"),
        (b"::ffff:c000:201", b"192.0.2.1"),
    ],
)
def test_an_address_in_any_form_is_looked_for_in_its_normal_one(ip: bytes, same: bytes) -> None:
    there = Lengths((25, 24, 16, 8), (64,))
    assert list(candidates(ip, None, b"joe", there)) == list(candidates(same, None, b"joe", there))


@pytest.mark.parametrize("ip", [b":", b"no:address", b"unknown", b"", b"1.2.3.4.5", b"1.2", b"%eth0"])
def test_what_is_no_address_is_in_no_network(ip: bytes) -> None:
    there = Lengths((25, 24, 16, 8, 0), (64, 0))
    assert all(b"/" not in name for name in candidates(ip, None, None, there))


def test_ipv4_networks_are_not_for_ipv6_clients_nor_the_other_way_round() -> None:
    get = cdb.Reader(b"".join(cdb.make(records(b"0.0.0.0/0:deny\n")))).get
    assert decide(get, b"192.0.2.1").deny
    assert decide(get, b"::ffff:192.0.2.1").deny
    assert not decide(get, b"::c000:201").deny
    get = cdb.Reader(b"".join(cdb.make(records(b"::/0:deny\n")))).get
    assert decide(get, b"2001:db8::1").deny
    assert not decide(get, b"::ffff:192.0.2.1").deny
    assert not decide(get, b"192.0.2.1").deny


# A few bits in few places, so that networks contain each other and addresses.
V4_NUMBERS = st.lists(st.sampled_from([0, 1, 2, 127, 128, 255]), min_size=4, max_size=4).map(
    lambda octets: int.from_bytes(bytes(octets), "big")
)
V6_NUMBERS = st.lists(st.sampled_from([0, 0, 1, 0x8000, 0x2001]), min_size=8, max_size=8).map(
    lambda groups: sum(each << 16 * at for at, each in enumerate(groups))
)
V4_NETS = st.builds(
    lambda number, length: ipaddress.IPv4Network((number, length), strict=False), V4_NUMBERS, st.integers(0, 32)
)
V6_NETS = st.builds(
    lambda number, length: ipaddress.IPv6Network((number, length), strict=False), V6_NUMBERS, st.integers(0, 128)
)
NETS = st.lists(V4_NETS | V6_NETS, max_size=12)
CLIENTS = V4_NUMBERS.map(ipaddress.IPv4Address) | V6_NUMBERS.map(ipaddress.IPv6Address)


def naive(nets: Iterable[Net], client: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Net | None:
    """The network that decides, by looking at all of them."""
    inside = [net for net in nets if net.version == client.version and client in net]
    return max(inside, key=lambda net: net.prefixlen, default=None)


@given(NETS, st.lists(CLIENTS, min_size=1, max_size=6))
def test_the_longest_network_decides_as_if_all_were_looked_at(
    nets: list[Net], clients: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> None:
    text = b"\n".join(b'%s:allow,N="%s"' % (str(net).encode(), str(net).encode()) for net in nets)
    get = cdb.Reader(b"".join(cdb.make(records(text)))).get
    for client in clients:
        expected = naive(nets, client)
        found = decide(get, str(client).encode())
        assert found.environ == (() if expected is None else ((b"N", str(expected).encode()),))
        assert found == decide(get, client.exploded.encode())
        if isinstance(client, ipaddress.IPv4Address):
            assert found == decide(get, f"::ffff:{client}".encode())


def test_of_two_rules_for_one_network_the_first_decides_whatever_its_form() -> None:
    get = dict(reversed(list(records(b"10./8:deny\n10.:allow\n10.0.0.0/8:allow\n")))).get
    assert decide(get, b"10.1.2.3") == Decision(b"10.", True, ())


WORDS = b'1 2. 1.2.3.4 .0 / /8 /25 /33 - = @ : :: [ ] f ffff: 2001:db8:: :allow :deny ,A= " # \0 \n'.split(b" ")
TEXTS = st.lists(st.sampled_from([*WORDS, b" "]), max_size=16).map(b"".join)
ANYBODY = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"1.2.3.4", b"::1", b"2001:db8::1", b"::ffff:1.2.3.4", b":/", b"fe80::1%eth0", b""]),
)


@given(TEXTS, ANYBODY, st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=8))
def test_whatever_compiles_answers_any_client(text: bytes, ip: bytes, host: bytes | None, info: bytes | None) -> None:
    try:
        parsed = list(parse(text))
    except RulesError:
        with pytest.raises(RulesError):
            list(records(text))
        return
    made = b"".join(cdb.make(records(text)))
    decision = decide(cdb.Reader(made).get, ip, host, info)
    assert decision.name is None or decision.name in dict(records(text))
    if any(rule.address == b"" for rule in parsed):
        assert decision.name is not None


@given(TEXTS, ANYBODY, st.data())
def test_a_damaged_cdb_answers_or_says_that_it_is_none(text: bytes, ip: bytes, choice: st.DataObject) -> None:
    try:
        data = bytearray(b"".join(cdb.make([*records(text), (b"10.0.0.0/9", b"D\0"), (NETWORKS, b"4/9 6/32")])))
    except RulesError:
        return
    for _ in range(choice.draw(st.integers(1, 8))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.integers(0, 255))
    del data[choice.draw(st.integers(len(data) // 2, len(data))) :]
    try:
        decision = decide(cdb.Reader(bytes(data)).get, ip, b"a.example", b"joe")
    except cdb.CdbError:
        return
    assert decision.name is None or isinstance(decision.name, bytes)
