from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.program import Fatal
from svtree.tcp import client
from tests.harness import free_port
from tests.tcp.answering import answering, unanswering
from tests.tcp.nameserver import loopback


def unexpected(text: bytes) -> None:
    pytest.fail(f"told: {text!r}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"2+58", (2, 58)),
        (b"5", (5, 0)),
        (b"5+", (5, 0)),
        (b"+7", (0, 7)),
        (b"x", (0, 0)),
        (b"3x4", (3, 0)),
        (b"", (0, 0)),
    ],
)
def test_patience_is_one_number_or_two(text: bytes, seconds: tuple[int, int]) -> None:
    assert client.patience(text) == seconds


@given(st.lists(st.integers(0, 999), min_size=4, max_size=4), st.sampled_from([b"", b".5", b"x", b" "]))
def test_an_address_at_the_beginning_is_read_modulo_256(numbers: list[int], rest: bytes) -> None:
    text = b".".join(b"%d" % each for each in numbers) + rest
    assert client.leading_ip(text) == b".".join(b"%d" % (each % 256) for each in numbers)


@pytest.mark.parametrize("text", [b"", b"1", b"1.2.3", b"1.2.3.", b".1.2.3.4", b"1..2.3", b"a.b.c.d", b"::1"])
def test_what_begins_with_no_address_is_none(text: bytes) -> None:
    assert client.leading_ip(text) is None


def test_a_service_is_a_number_or_a_name() -> None:
    assert client.service(b"25") == 25
    assert client.service(b"65537") == 1
    assert client.service(b"9" * 60) == 65535
    assert client.service(b"smtp") == 25
    for word in (b"no-such-service", b"-1", b"\xff", b"smtp\0"):
        with pytest.raises(Fatal, match="unable to figure out port number for "):
            client.service(word)


def test_an_address_is_not_looked_up() -> None:
    assert client.addresses(b"0", {}) == [b"127.0.0.1"]
    assert client.addresses(b"[192.0.2.7]", {b"DNSCACHEIP": b"192.0.2.1"}) == [b"192.0.2.7"]


@pytest.mark.parametrize(
    ("host", "family", "ips"),
    [
        (b"::1", 0, [b"::1"]),
        (b"[::1]", 6, [b"::1"]),
        (b"2001:DB8:0:0::7", 0, [b"2001:db8::7"]),
        (b"fe80::1%eth0", 0, [b"fe80::1%eth0"]),
        (b"::ffff:192.0.2.7", 0, [b"192.0.2.7"]),
        (b"0", 6, [b"::1"]),
        (b"", 4, [b"127.0.0.1"]),
        (b"192.0.2.7", 4, [b"192.0.2.7"]),
    ],
)
def test_ipv6_addresses_are_not_looked_up_either(host: bytes, family: int, ips: list[bytes]) -> None:
    assert client.addresses(host, {b"DNSCACHEIP": b"192.0.2.1"}, family) == ips


@pytest.mark.parametrize(("host", "family"), [(b"::1", 4), (b"192.0.2.7", 6), (b"::ffff:192.0.2.7", 6), (b"1.2.3", 0)])
def test_an_address_of_the_other_kind_is_none(host: bytes, family: int) -> None:
    with pytest.raises(Fatal, match="no IP address for "):
        client.addresses(host, {b"DNSCACHEIP": b"192.0.2.1"}, family)


def test_a_connection_is_described_and_its_socket_blocks() -> None:
    with answering(b"hello") as server:
        made = client.connect([b"127.0.0.1"], server.port, client.Plan(delay=False), unexpected)
        assert made is not None

        try:
            assert os.get_blocking(made.descriptor)
            assert not os.get_inheritable(made.descriptor)
            assert (made.remote_ip, made.remote_port) == (b"127.0.0.1", server.port)
        finally:
            os.close(made.descriptor)


def test_what_does_not_answer_is_told_and_leaves_nothing_open() -> None:
    told: list[bytes] = []
    port = free_port()
    assert client.connect([b"127.0.0.1"] * 2, port, client.Plan(), told.append) is None
    assert told == [b"unable to connect to 127.0.0.1 port %d: connection refused" % port] * 2


def test_one_address_has_the_patience_of_both_rounds_and_is_told_once() -> None:
    told: list[bytes] = []
    ip = loopback()
    with unanswering(ip) as port:
        assert client.connect([ip.encode()], port, client.Plan(first=0, second=1), told.append) is None
    assert told == [b"unable to connect to %b port %d: timed out" % (ip.encode(), port)]


def test_a_near_end_of_the_other_kind_is_fatal() -> None:
    with pytest.raises(Fatal, match="unable to bind socket: "):
        client.connect([b"::1"], 1, client.Plan(local_ip=b"127.0.0.1"), unexpected)
    with pytest.raises(Fatal, match="unable to bind socket: "):
        client.connect([b"127.0.0.1"], 1, client.Plan(local_ip=b"::1"), unexpected)


def test_a_near_end_that_is_not_ours_is_fatal() -> None:
    with pytest.raises(Fatal, match="unable to bind socket: address not available"):
        client.connect([b"127.0.0.1"] * 2, 1, client.Plan(local_ip=b"192.0.2.1"), unexpected)
