"""qmail-remote with a name server and SMTP servers on addresses of the loopback network that are not this machine's."""

from __future__ import annotations

import pytest

from svtree.mail.delivery import remote
from tests.mail.delivery.nameserver import FAILS, NameServer, own_network
from tests.mail.delivery.outgoing import Qmail
from tests.mail.delivery.scripted import ScriptedServer

pytestmark = pytest.mark.root
R = b"r\0"
OK = b"Remote host said: 250 ok 1234 qp 5678\n\0"


def test_mail_goes_to_the_first_exchanger_that_answers(qmail: Qmail) -> None:
    network = own_network()
    zone = {
        ("remote.example.", "MX"): ("10 first.example.", "20 second.example."),
        ("first.example.", "A"): (f"{network}.1",),
        ("second.example.", "A"): (f"{network}.2",),
    }
    with NameServer(f"{network}.60", zone) as names, ScriptedServer(address=f"{network}.2", port=25) as server:
        reports = qmail.send(env={"DNSCACHEIP": names.address})
    assert reports == R + f"K{network}.2 accepted message.\n".encode() + OK
    assert len(server.heard) == 1


def test_a_server_that_greets_badly_ends_the_attempt_and_no_other_is_tried(qmail: Qmail) -> None:
    # As the original: the next attempt may find another server, this one has been told of the trouble.
    network = own_network()
    zone = {
        ("remote.example.", "MX"): ("10 first.example.", "20 second.example."),
        ("first.example.", "A"): (f"{network}.1",),
        ("second.example.", "A"): (f"{network}.2",),
    }
    busy = {"greeting": b"421 busy\r\n"}
    with (
        NameServer(f"{network}.61", zone) as names,
        ScriptedServer(busy, address=f"{network}.1", port=25),
        ScriptedServer(address=f"{network}.2", port=25) as second,
    ):
        reports = qmail.send(env={"DNSCACHEIP": names.address})
    expected = f"ZConnected to {network}.1 but greeting failed.\nRemote host said: 421 busy\n\0"
    assert reports == expected.encode()
    assert second.heard == []


@pytest.mark.parametrize(
    ("zone", "reports"),
    [
        ({}, b"DSorry, I couldn't find any host named remote.example. (#5.1.2)\n\0"),
        ({("remote.example.", "MX"): FAILS}, b"ZSorry, I couldn't find any host by that name. (#4.1.2)\n\0"),
        (
            {("remote.example.", "MX"): ("10 gone.example.",)},
            b"DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n\0",
        ),
        (
            {("remote.example.", "A"): ("127.0.0.1",)},
            remote.MYSELF + b"\0",
        ),
    ],
)
def test_what_the_dns_says_is_reported_as_qmail_does(
    qmail: Qmail, zone: dict[tuple[str, str], tuple[str, ...] | str], reports: bytes
) -> None:
    with NameServer(own_network() + ".62", zone) as names:
        assert qmail.send(env={"DNSCACHEIP": names.address}) == reports


def test_a_relay_s_name_is_looked_up_and_its_exchangers_are_not(qmail: Qmail) -> None:
    network = own_network()
    zone = {
        ("relay.example.", "MX"): ("10 other.example.",),
        ("relay.example.", "A"): (f"{network}.3",),
    }
    with NameServer(f"{network}.63", zone) as names, ScriptedServer(address=f"{network}.3") as server:
        qmail.control("smtproutes", f"remote.example:relay.example:{server.port}\n")
        assert qmail.send(env={"DNSCACHEIP": names.address}).startswith(R + b"K")
        # Each once, or again if the answer did not come in time.
        assert list(dict.fromkeys(names.asked)) == [("relay.example.", "A"), ("relay.example.", "AAAA")]


def test_a_relay_that_does_not_exist_is_named_in_the_report(qmail: Qmail) -> None:
    qmail.control("smtproutes", ":no\xe9 relay.example\n")
    with NameServer(own_network() + ".64", {}) as names:
        reports = qmail.send(env={"DNSCACHEIP": names.address})
    assert reports == b"DSorry, I couldn't find any host named no???relay.example. (#5.1.2)\n\0"
