"""A tree of `svtree init --tls`: its submission, smtps and pop3s, and real clients, other people's, that use them."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.golden.test_real_clients import installed
from tests.harness import DEADLINE, Processes, Result, free_port, ours, run, until
from tests.mail import certificates
from tests.tree.conftest import HOST, Tree

SERVICES = ("smtps", "submission", "pop3s")
# From where nobody may relay without a login.
STRANGER = "127.0.0.3"
AWAY = "hogehoge@elsewhere.example"


@dataclass
class Modern:
    """The tree, the ports of its services, and the certificate that its clients trust."""

    tree: Tree
    ports: dict[str, int]
    trusted: Path

    def swaks(self, service: str, *more: str, to: str = AWAY) -> Result:
        """Send from an address that may not relay."""
        where = ("--server", f"127.0.0.1:{self.ports[service]}", "--local-interface", STRANGER)
        words = ("--from", f"jiro@{HOST}", "--to", to, "--header", f"Subject: by {service}", "--body", "one")
        return run([installed("swaks"), *where, *words, *more])


@pytest.fixture
def modern(folder: Path, processes: Processes) -> Iterator[Modern]:
    """A tree that runs with everything on."""
    _, trusted = certificates.make(folder, HOST)
    ports = {name: free_port() for name in ("smtp", "pop3", *SERVICES)}
    tree = Tree(folder / "t", processes, ports["smtp"], ports["pop3"])
    listening = [word for name, port in ports.items() for word in (f"--{name}", f"127.0.0.1:{port}")]
    users = ("--user", "jiro:sesame", "--user", "saburo:katou")
    tls = ("--tls", trusted, folder / "key.pem")
    made = run([ours("svtree"), "init", tree.directory, "--host", HOST, *users, *listening, *tls])
    assert (made.code, made.err) == (0, b"")
    # As shipped all of 127. may relay.
    rules = tree.path("smtpd/tcp.smtp")
    rules.write_text(rules.read_text().replace("127.:", "127.0.0.1:"))
    compiled = run([ours("tcprules"), f"{rules}.cdb", f"{rules}.tmp"], stdin=rules.read_bytes())
    assert (compiled.code, compiled.err) == (0, b"")
    tree.up()
    yield Modern(tree, ports, trusted)
    assert tree.down() == 0


LOGIN = ("--auth", "PLAIN", "--auth-user", "jiro", "--auth-password", "sesame")


def test_swaks_sends_by_submission_and_smtps_after_a_login_within_tls_only(modern: Modern) -> None:
    for service, tls in (("smtps", "--tls-on-connect"), ("submission", "--tls")):
        sent = modern.swaks(service, tls, *LOGIN, to=f"saburo@{HOST}")
        assert sent.code == 0, sent.out + sent.err
        message = modern.tree.received(f"Subject: by {service}", "saburo", "katou")
        assert f" (jiro@{STRANGER})\n  by {HOST} with ESMTPSA; ".encode() in message
        # A user may send anywhere from there; who is none, not even here.
        assert b"250 2.1.5 ok" in modern.swaks(service, tls, *LOGIN, "--quit-after", "RCPT").out
        assert b"530 5.7.0 sorry, log in first" in modern.swaks(service, tls, to=f"saburo@{HOST}").out
    assert b"AUTH" not in modern.swaks("submission", "--quit-after", "EHLO").out
    assert b"535 5.7.8" in modern.swaks("smtps", "--tls-on-connect", *LOGIN[:-1], "wrong").out


def test_port_25_takes_mail_for_users_of_this_host_from_anybody_and_knows_who_they_are(modern: Modern) -> None:
    with smtplib.SMTP("127.0.0.1", modern.ports["smtp"], "client", DEADLINE, source_address=(STRANGER, 0)) as client:
        client.ehlo()
        assert {"starttls", "size", "smtputf8"} <= client.esmtp_features.keys()
        client.mail("a@b.example")
        assert client.rcpt(f"nobodyhere@{HOST}")[0] == 550
        assert client.rcpt(AWAY)[0] == 553
        assert client.rcpt(f"jiro@{HOST}")[0] == 250


def test_curl_and_mpop_fetch_by_pop3s(modern: Modern, folder: Path) -> None:
    modern.tree.send("Subject: one\n\nbody\n")
    modern.tree.received("Subject: one")
    port = modern.ports["pop3s"]
    words = ("--silent", "--show-error", "--noproxy", "*", "--user", "jiro:sesame")
    fetched = run([installed("curl"), *words, "--cacert", modern.trusted, f"pop3s://127.0.0.1:{port}/1"])
    assert (fetched.code, fetched.out[-10:]) == (0, b"\r\nbody\r\n\r\n"), fetched.err
    for each in ("new", "cur", "tmp"):
        (folder / "fetched" / each).mkdir(parents=True)
    done = run(
        [
            installed("mpop"),
            *("--file=", "--host=127.0.0.1", f"--port={port}", "--tls=on", "--tls-starttls=off", "--user=jiro"),
            *(f"--tls-trust-file={modern.trusted}", "--auth=user", "--passwordeval=echo sesame"),
            *(f"--delivery=maildir,{folder}/fetched", f"--uidls-file={folder}/uidls"),
        ]
    )
    assert done.code == 0, done.out + done.err
    assert len(list((folder / "fetched" / "new").iterdir())) == 1
    until(lambda: "pop3s: " in modern.tree.logs())


@pytest.mark.parametrize(("service", "hello", "bye"), [("smtps", "220 ", "221 "), ("pop3s", "+OK ", "+OK ")])
def test_openssl_sees_tls_from_the_first_byte_with_our_certificate(
    modern: Modern, service: str, hello: str, bye: str
) -> None:
    words = ("s_client", "-quiet", "-verify_return_error", "-verify_hostname", HOST)
    client = modern.tree.processes.start(
        [installed("openssl"), *words, "-CAfile", modern.trusted, "-connect", f"127.0.0.1:{modern.ports[service]}"],
        stdin=subprocess.PIPE,
    )
    said, _ = client.communicate(b"QUIT\r\n", DEADLINE)
    first, last = said.decode().splitlines()
    assert first.startswith(hello)
    assert last.startswith(bye)


def test_the_rules_of_a_service_are_its_own(modern: Modern) -> None:
    modern.tree.write("submission/tcp.smtp", f"{STRANGER}:deny\n:allow\n")
    until(lambda: b"Connection refused" not in modern.swaks("submission").out and denied(modern))
    assert b"220 " in modern.swaks("smtps", "--tls-on-connect").out


def denied(modern: Modern) -> bool:
    return b"220 " not in modern.swaks("submission").out


def test_the_key_is_for_its_services_alone(modern: Modern) -> None:
    key = modern.tree.directory / "qmail/control/servercert.pem"
    assert key.stat().st_mode & 0o777 == 0o400
