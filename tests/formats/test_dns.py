"""DNS messages and names."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import dns

NAME = dns.encode(b"mail.example")


def answer(records: bytes, count: int = 1, flags: int = 0x8180, number: int = 7) -> bytes:
    question = NAME + struct.pack("!HH", dns.A, 1)
    return struct.pack("!HHHHHH", number, flags, 1, count, 0, 0) + question + records


def record(kind: int, data: bytes, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        (b"a.example", b"\1a\7example\0"),
        (b"a.example.", b"\1a\7example\0"),
        (b"..a..b", b"\1a\1b\0"),
        (b"", b"\0"),
        (b"a\\056b", b"\3a.b\0"),
        (b"a\\.b", b"\3a.b\0"),
        (b"\\1018", b"\2A8\0"),
    ],
)
def test_a_name_in_dots_becomes_labels(name: bytes, wire: bytes) -> None:
    assert dns.encode(name) == wire


@pytest.mark.parametrize("name", [b"a" * 64, b".".join([b"a" * 50] * 6)])
def test_a_name_that_is_too_long_is_refused(name: bytes) -> None:
    with pytest.raises(dns.DnsError):
        dns.encode(name)


def test_an_address_is_turned_round_for_its_name() -> None:
    assert dns.reverse(b"192.0.2.7") == b"7.2.0.192.in-addr.arpa"


def test_addresses_come_in_the_order_of_the_answer() -> None:
    found = dns.parse(answer(record(1, b"\1\2\3\4") + record(1, b"\5\6\7\10"), 2), 7, NAME, dns.A)
    assert found is not None
    assert dns.addresses(found) == [b"1.2.3.4", b"5.6.7.8"]


def test_records_of_other_kinds_and_sizes_are_passed_over() -> None:
    message = answer(record(5, b"\1x\0") + record(1, b"\1\2\3") + record(1, b"\1\2\3\4"), 3)
    found = dns.parse(message, 7, NAME, dns.A)
    assert found is not None
    assert dns.addresses(found) == [b"1.2.3.4"]


@pytest.mark.parametrize(
    ("wire", "shown"),
    [
        (b"\4Mail\7Example\0", b"mail.example"),
        (b"\3a.b\1%\0", b"a\\056b.\\045"),
        (b"\0", b"."),
        (b"\1x\xc0\x0c", b"x.mail.example"),
    ],
)
def test_a_host_name_is_shown_in_lower_case_and_without_surprises(wire: bytes, shown: bytes) -> None:
    question = NAME + struct.pack("!HH", dns.PTR, 1)
    message = struct.pack("!HHHHHH", 7, 0x8180, 1, 1, 0, 0) + question + record(dns.PTR, wire)
    found = dns.parse(message, 7, NAME, dns.PTR)
    assert found is not None
    assert dns.pointer(found) == shown


@pytest.mark.parametrize(
    "message",
    [
        answer(record(1, b"\1\2\3\4"), number=8),
        answer(record(1, b"\1\2\3\4"), flags=0x0180),
        answer(record(1, b"\1\2\3\4")).replace(b"mail", b"liam"),
    ],
)
def test_an_answer_to_another_question_is_none(message: bytes) -> None:
    assert dns.parse(message, 7, NAME, dns.A) is None


def test_the_case_of_the_question_does_not_count() -> None:
    assert dns.parse(answer(record(1, b"\1\2\3\4")).replace(b"mail", b"MAIL"), 7, NAME, dns.A) is not None


def test_a_name_that_points_to_itself_is_an_error() -> None:
    with pytest.raises(dns.DnsError):
        dns.parse(answer(b"\xc0\x1e" + record(1, b"", owner=b"")), 7, NAME, dns.A)


@given(st.binary(max_size=200), st.integers(0, 3))
def test_no_bytes_do_more_than_be_refused(tail: bytes, count: int) -> None:
    for message in (tail, answer(tail, count)):
        try:
            found = dns.parse(message, 7, NAME, dns.A)
            if found is not None:
                dns.addresses(found)
                dns.pointer(found)
        except dns.DnsError:
            continue


@pytest.mark.parametrize(
    ("name", "ip"),
    [
        (b"127.0.0.1", b"127.0.0.1"),
        (b"[127.0.0.1]", b"127.0.0.1"),
        (b"256.1.1.1", b"0.1.1.1"),
        (b"1.2.3", b""),
        (b"1.2.3.4.5", b"1.2.3.4"),
        (b"a.example", None),
    ],
)
def test_an_address_is_read_as_the_original_reads_it(name: bytes, ip: bytes | None) -> None:
    assert dns.literal(name) == ip


@pytest.mark.parametrize(
    ("name", "rules", "names"),
    [
        (b"a", [b"?:+.x.example+.y.example", b"*.:"], [b"a.x.example", b"a.y.example"]),
        (b"a.b", [b"?:+.x.example", b"*.:"], [b"a.b"]),
        (b"a.b.", [b"?:.x", b"*.:"], [b"a.b"]),
        (b"a.local", [b"*.local:.example"], [b"a.example"]),
        (b"a.local", [b"-.local:b.example"], [b"b.example"]),
        (b"a", [b"=a:b.example", b"# a comment"], [b"b.example"]),
        (b"xa", [b"=a:b.example"], [b"xa"]),
    ],
)
def test_names_are_qualified_by_rules(name: bytes, rules: list[bytes], names: list[bytes]) -> None:
    assert dns.qualify(name, rules) == names
