"""qmail-remote with EHLO, TLS and IPv6: what control/esmtp and control/tlshosts turn on, and how it falls back."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from svtree.mail.queue.layout import make_queue
from tests import harness
from tests.harness import Processes
from tests.mail import certificates
from tests.mail.delivery.nameserver import NameServer, own_network
from tests.mail.delivery.outgoing import Qmail
from tests.mail.delivery.scripted import ScriptedServer

R = b"r\0"
OK = b"Remote host said: 250 ok 1234 qp 5678\n\0"
TAKEN = R + b"K127.0.0.1 accepted message.\n" + OK
EHLO = {"EHLO": b"250-there.example\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n"}


class There:
    """Another host: our own tcpserver and qmail-smtpd, with a certificate."""

    def __init__(self, home: Path, processes: Processes) -> None:
        (home / "control").mkdir(parents=True)
        for name, text in {"me": "there.example", "rcpthosts": "remote.example", "esmtp": "starttls\nsmtputf8"}.items():
            (home / "control" / name).write_text(text + "\n")
        make_queue(bytes(home))
        certificate, self.trusted = certificates.make(home, "mx.remote.example")
        (home / "control" / "servercert.pem").write_bytes(certificate)
        self.home = home
        self.port = harness.free_port()
        processes.start(
            [harness.ours("tcpserver"), "-R", "-H", "-l", "0", "127.0.0.1", str(self.port), "qmail-smtpd"],
            env={"QMAILHOME": str(home)},
            stderr=None,
        )
        harness.until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def queued(self) -> list[bytes]:
        return [path.read_bytes() for path in self.home.glob("queue/mess/*/*")]


@pytest.fixture
def there(folder: Path, processes: Processes) -> There:
    return There(folder / "there", processes)


def send(qmail: Qmail, there: There, **more: str) -> bytes:
    qmail.control("smtproutes", f":[127.0.0.1]:{there.port}\n")
    return qmail.send(**more)  # type: ignore[arg-type] # names of its arguments


@pytest.mark.parametrize("switch", ["esmtp", "tlshosts"])
def test_tls_is_used_where_it_is_offered_and_the_report_is_the_same(qmail: Qmail, there: There, switch: str) -> None:
    qmail.control(switch, "starttls\n" if switch == "esmtp" else "")
    report = send(qmail, there)
    assert report.startswith(R + b"K127.0.0.1 accepted message.\nRemote host said: 250 ok ")
    (message,) = there.queued()
    assert b" with ESMTPS; " in message


def test_without_the_control_files_it_says_helo_as_ever(qmail: Qmail, there: There) -> None:
    assert send(qmail, there).startswith(R + b"K")
    assert b" with SMTP; " in there.queued()[0]


def test_never_is_never(qmail: Qmail, there: There) -> None:
    qmail.control("tlshosts", "remote.example:never\n")
    assert send(qmail, there).startswith(R + b"K")
    assert b" with ESMTP; " in there.queued()[0]


def test_a_certificate_is_verified_where_that_is_wanted(qmail: Qmail, there: There) -> None:
    qmail.control("tlshosts", "remote.example:verify:mx.remote.example\n")
    failed = send(qmail, there)
    assert failed.startswith(b"ZConnected to 127.0.0.1 but TLS failed: ")
    assert failed.endswith(b". (#4.7.5)\n\0")
    qmail.control("tlsca.pem", there.trusted.read_text())
    assert send(qmail, there).startswith(R + b"K")
    qmail.control("tlshosts", "remote.example:verify\n")
    assert b"ZConnected to 127.0.0.1 but TLS failed: " in send(qmail, there)
    assert len(there.queued()) == 1


def test_where_it_is_demanded_mail_waits_for_it(qmail: Qmail) -> None:
    qmail.control("tlshosts", ":must\n")
    with ScriptedServer({"EHLO": b"250-there.example\r\n250 SIZE\r\n"}) as server:
        report = qmail.send_to(server)
    assert report == (
        b"ZConnected to 127.0.0.1 but it offers no TLS, which control/tlshosts demands.\n"
        b"Remote host said: 250-there.example\n250 SIZE\n\0"
    )
    with ScriptedServer({**EHLO, "STAR": b"454 not now\r\n"}) as server:
        assert b"but it begins no TLS" in qmail.send_to(server)
    assert server.heard[0].message is None


def test_where_it_is_not_it_goes_without_what_fails(qmail: Qmail) -> None:
    qmail.control("tlshosts", "")
    with ScriptedServer({"EHLO": b"502 unimplemented\r\n"}) as server:
        assert qmail.send_to(server) == TAKEN
    assert [line.split()[0] for line in server.heard[0].commands] == [
        b"EHLO",
        b"HELO",
        b"MAIL",
        b"RCPT",
        b"DATA",
        b"QUIT",
    ]
    with ScriptedServer({**EHLO, "STAR": b"454 not now\r\n"}) as server:
        assert qmail.send_to(server) == TAKEN
    # A server that agrees and then shakes no hands: what it says behind its 220 is no reply to anything.
    with ScriptedServer({**EHLO, "STAR": b"220 ready\r\n250 injected\r\n"}) as server:
        assert qmail.send_to(server) == TAKEN
    assert [heard.message is not None for heard in server.heard] == [False, True]
    assert b"STARTTLS\r\n" not in server.heard[1].commands


def test_a_policy_that_is_mistyped_sends_nothing_in_the_clear(qmail: Qmail) -> None:
    qmail.control("tlshosts", "remote.example:mast\n")
    with ScriptedServer() as server:
        assert qmail.send_to(server) == b"ZUnable to read control files. (#4.3.0)\n\0"
    assert server.heard == []


def test_an_address_that_is_not_ascii_needs_a_server_that_takes_such(qmail: Qmail) -> None:
    qmail.control("tlshosts", ":never\n")
    recipient = ("\u00fc@remote.example",)
    with ScriptedServer(EHLO) as server:
        assert qmail.send_to(server, recipients=recipient) == TAKEN
    assert server.heard[0].commands[1] == b"MAIL FROM:<me@here.example> SMTPUTF8\r\n"
    with ScriptedServer({"EHLO": b"250 there.example\r\n"}) as server:
        report = qmail.send_to(server, recipients=recipient)
    assert report == b"DConnected to 127.0.0.1 but it takes no address that is not ASCII. (#5.6.7).\n\0"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@needs_ipv6
def test_a_route_may_lead_to_an_ipv6_address(qmail: Qmail) -> None:
    with ScriptedServer(address="::1") as server:
        qmail.control("smtproutes", f":[IPv6:::1]:{server.port}\n")
        assert qmail.send() == R + b"K::1 accepted message.\n" + OK


@needs_ipv6
def test_this_machines_own_ipv6_address_is_this_machine(qmail: Qmail) -> None:
    assert qmail.send(host="[IPv6:::1]").startswith(b"DSorry. Although I'm listed")


@needs_ipv6
@pytest.mark.root
def test_an_exchanger_with_an_ipv6_address_alone_is_reached_and_the_backup_comes_after_the_best(qmail: Qmail) -> None:
    network = own_network()
    zone = {
        ("remote.example.", "MX"): ("10 best.example.", "20 backup.example."),
        ("best.example.", "A"): (f"{network}.9",),
        ("backup.example.", "AAAA"): ("::1",),
        ("relay.example.", "AAAA"): ("::1",),
    }
    with NameServer(f"{network}.65", zone) as names, ScriptedServer(address="::1") as server:
        qmail.control("smtproutes", f"routed.example:relay.example:{server.port}\n")
        reports = qmail.send(host="routed.example", env={"DNSCACHEIP": names.address})
        assert reports == R + b"K::1 accepted message.\n" + OK
        # ::1 is this machine: as the backup, it has only the best to send to, which does not answer.
        assert qmail.send(env={"DNSCACHEIP": names.address}).startswith(b"ZSorry, I wasn't able to establish")
