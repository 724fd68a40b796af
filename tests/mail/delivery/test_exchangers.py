from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from svtree.mail.delivery import exchangers
from svtree.mail.delivery import names as dns_names
from svtree.mail.delivery.exchangers import Exchanger, NoAnswerError, NoSuchNameError, literal, worth_trying
from svtree.mail.delivery.names import DnsNames
from tests.mail.delivery.nameserver import FAILS, LONG, REFUSES, NameServer, Zone, own_network

A1, A2, A3 = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)), bytes((192, 0, 2, 3))

ZONE: Zone = {
    ("two.example.", "MX"): ("20 mx2.example.", "10 mx1.example."),
    ("mx1.example.", "A"): ("192.0.2.1",),
    ("mx2.example.", "A"): ("192.0.2.2",),
    ("equal.example.", "MX"): ("10 mx1.example.", "10 mx2.example."),
    ("plain.example.", "A"): ("192.0.2.3",),
    ("nothing.example.", "TXT"): ('"x"',),
    ("null.example.", "MX"): ("0 .",),
    ("lost.example.", "MX"): ("10 gone.example.",),
    ("half.example.", "MX"): ("10 gone.example.", "20 mx2.example."),
    ("broken.example.", "MX"): FAILS,
    ("refused.example.", "MX"): REFUSES,
    ("badmx.example.", "MX"): ("10 bada.example.",),
    ("bada.example.", "A"): FAILS,
    ("somebad.example.", "MX"): ("10 bada.example.", "20 mx2.example."),
    ("long.example.", "MX"): (LONG, "10 mx1.example."),
    ("literal.example.", "MX"): ("10 192.0.2.3.",),
    ("several.example.", "A"): ("192.0.2.1", "192.0.2.2"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with NameServer(own_network() + ".53", ZONE) as running:
        yield running


@pytest.fixture
def names(server: NameServer) -> DnsNames:
    return DnsNames({b"DNSCACHEIP": server.address.encode()})


@pytest.mark.root
@pytest.mark.parametrize(
    ("host", "found"),
    [
        (b"two.example", [Exchanger(A1, 10), Exchanger(A2, 20)]),
        (b"TWO.example.", [Exchanger(A1, 10), Exchanger(A2, 20)]),
        (b"plain.example", [Exchanger(A3, 0)]),
        (b"half.example", [Exchanger(A2, 20)]),
        (b"somebad.example", [Exchanger(A2, 20)]),
        (b"long.example", [Exchanger(A1, 10)]),
        (b"literal.example", [Exchanger(A3, 10)]),
        (b"lost.example", []),
        (b"null.example", []),
        (b"[192.0.2.1]", [Exchanger(A1, 0)]),
        (b"192.0.2.1", [Exchanger(A1, 0)]),
    ],
)
def test_a_host_s_exchangers_are_found_best_first(names: DnsNames, host: bytes, found: list[Exchanger]) -> None:
    assert exchangers.of_host(host, names, os.urandom) == found


@pytest.mark.root
@pytest.mark.parametrize(
    "host",
    [
        b"no-such.example",
        b"nothing.example",
        b"",
        b".",
        b"a..b",
        b"x" * 64 + b".example",
        b"y." * 200,
        b"caf\xe9.example",
    ],
)
def test_a_host_that_the_dns_does_not_know_is_known_to_be_unknown(names: DnsNames, host: bytes) -> None:
    with pytest.raises(NoSuchNameError):
        exchangers.of_host(host, names, os.urandom)


@pytest.mark.root
@pytest.mark.parametrize("host", [b"broken.example", b"refused.example", b"badmx.example"])
def test_a_dns_that_does_not_answer_is_no_answer(names: DnsNames, host: bytes) -> None:
    with pytest.raises(NoAnswerError):
        exchangers.of_host(host, names, os.urandom)


def test_nobody_to_ask_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_names, "QUESTION", 0.3)
    with pytest.raises(NoAnswerError):
        exchangers.of_host(b"two.example", DnsNames({b"DNSCACHEIP": (own_network() + ".54").encode()}), os.urandom)


@pytest.mark.root
def test_of_several_name_servers_one_is_enough(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_names, "TRY", 0.3)
    # Nothing listens on the first.
    names = DnsNames({b"DNSCACHEIP": f"{own_network()}.54.{server.address}".encode()})
    assert exchangers.of_host(b"plain.example", names, os.urandom) == [Exchanger(A3, 0)]


@pytest.mark.root
def test_all_questions_of_a_delivery_together_have_an_end(names: DnsNames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_names, "DELIVERY", 1e-9)
    with pytest.raises(NoAnswerError):
        exchangers.of_host(b"two.example", names, os.urandom)


@pytest.mark.root
def test_exchangers_of_equal_preference_come_in_any_order(names: DnsNames) -> None:
    orders = {tuple(exchangers.of_host(b"equal.example", names, os.urandom)) for _ in range(60)}
    assert orders == {
        (Exchanger(A1, 10), Exchanger(A2, 10)),
        (Exchanger(A2, 10), Exchanger(A1, 10)),
    }


@pytest.mark.root
def test_a_relay_is_asked_for_its_addresses_alone(names: DnsNames, server: NameServer) -> None:
    server.asked.clear()
    assert {each.address for each in exchangers.of_relay(b"several.example", names)} == {A1, A2}
    assert server.asked == [("several.example.", "A"), ("several.example.", "AAAA")]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (b"1.2.3.4", bytes((1, 2, 3, 4))),
        (b"[1.2.3.4]", bytes((1, 2, 3, 4))),
        (b"[1.2.3.4", None),
        (b"1.2.3.256", None),
        (b"1.2.3", None),
        (b"1.2.3.4.5", None),
        (b"1.2.3.x", None),
        (b"1.2.3.0000004", None),
        (b"", None),
    ],
)
def test_an_address_in_dots_is_a_host_of_its_own(host: bytes, address: bytes | None) -> None:
    assert literal(host) == address


@pytest.mark.parametrize(
    ("preferences", "tried"),
    [
        ([(A1, 10), (A3, 20)], [A1, A3]),
        ([(A1, 10), (A2, 20), (A3, 30)], [A1]),
        ([(A2, 10), (A1, 20)], []),
        ([(A1, 20), (A2, 20)], []),
        ([(A1, 10), (bytes(4), 20)], [A1]),
        ([], []),
    ],
)
def test_mail_goes_only_to_exchangers_that_are_better_than_this_machine(
    preferences: list[tuple[bytes, int]], tried: list[bytes]
) -> None:
    found = [Exchanger(address, preference) for address, preference in preferences]
    this_machine = [A2]
    assert [each.address for each in worth_trying(found, this_machine)] == tried
