"""Real clients, other people's, with TLS, logins and the rest of what control/esmtp and control/pop3 offer."""

from __future__ import annotations

import contextlib
import os
import poplib
import re
import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from svtree.mail import accounts
from tests import harness
from tests.golden.conftest import HOST, Post
from tests.golden.test_real_clients import installed, mailbox, put
from tests.harness import until
from tests.mail import certificates

EVERYTHING = "size\nstarttls\nauth\nsmtputf8\nenhancedstatuscodes"
STRANGER = "127.0.0.3"
AWAY = "hogehoge@elsewhere.example"


def certify(post: Post) -> ssl.SSLContext:
    """Give the host a certificate of its own making, readable as the service needs it; who trusts it."""
    certificate, trusted = certificates.make(post.home, HOST)
    (post.home / "control" / "servercert.pem").write_bytes(certificate)
    return ssl.create_default_context(cafile=trusted)


def known(post: Post) -> None:
    """Have jiro's secret known, so that APOP and CRAM-MD5 work."""
    Path(os.fsdecode(accounts.path(bytes(post.home)))).write_bytes(b"jiro:{PLAIN}sesame:\n")


@pytest.fixture
def today(post: Post) -> Post:
    post.control("esmtp", EVERYTHING)
    post.control("pop3", "capa\nstls\napop")
    certify(post)
    return post


def swaks(port: int, *more: str, to: str = AWAY) -> harness.Result:
    """Send from an address that may not relay by itself."""
    return harness.run(
        [
            installed("swaks"),
            *("--server", f"127.0.0.1:{port}", "--local-interface", STRANGER, "--helo", "client.example"),
            *("--from", f"jiro@{HOST}", "--to", to, "--header", "Subject: from swaks", "--body", "one"),
            *more,
        ]
    )


LOGIN = ("--auth-user", "jiro", "--auth-password", "sesame")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks_logs_in_within_tls_and_may_relay(today: Post, mechanism: str) -> None:
    known(today)
    sent = swaks(today.smtp(), "--tls", "--auth", mechanism, *LOGIN)
    assert sent.code == 0, sent.out + sent.err
    assert b"235 2.7.0 ok" in sent.out
    (message,) = today.queued()
    assert b"\nReceived: from unknown (HELO client.example) (jiro@127.0.0.3)\n  by 0 with ESMTPSA; " in message


def test_swaks_without_a_login_may_not_relay_and_with_a_wrong_one_neither(today: Post) -> None:
    port = today.smtp()
    assert b"553 5.7.1 sorry, that domain" in swaks(port, "--tls").out
    refused = swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", "jiro", "--auth-password", "wrong")
    assert b"535 5.7.8 authentication failed" in refused.out
    assert today.queued() == []
    until(lambda: b"login of jiro from 127.0.0.3 failed, number 1 in a row" in today.log.read_bytes())


def test_no_password_is_taken_in_the_clear_where_tls_can_be_had(today: Post) -> None:
    sent = swaks(today.smtp(), "--auth", "PLAIN", *LOGIN)
    assert sent.code != 0
    assert b"AUTH" not in sent.out.split(b"STARTTLS")[0]
    assert today.queued() == []


def test_a_login_works_without_tls_where_only_that_is_offered(post: Post) -> None:
    post.control("esmtp", "auth")
    sent = swaks(post.smtp(), "--auth", "LOGIN", *LOGIN)
    assert sent.code == 0, sent.out
    assert b" with ESMTPA; " in post.queued()[0]


def test_tls_from_the_first_byte(today: Post) -> None:
    sent = swaks(today.smtp(SMTPS="1"), "--tls-on-connect", "--auth", "PLAIN", *LOGIN)
    assert sent.code == 0, sent.out + sent.err
    assert b" with ESMTPSA; " in today.queued()[0]


def test_any_checkpassword_program_checks_the_login(today: Post) -> None:
    script = today.home / "checker"
    script.write_text("#!/bin/sh\ntr '\\0' '|' <&3 >\"$QMAILHOME/asked\"; test \"$1\" = true\n")
    script.chmod(0o755)
    port = today.serve("qmail-smtpd", str(script), "true")
    sent = swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", "anybody", "--auth-password", "any thing")
    assert sent.code == 0, sent.out
    assert (today.home / "asked").read_text() == "anybody|any thing||"
    refusing = today.serve("qmail-smtpd", str(script), "false")
    assert b"535 5.7.8" in swaks(refusing, "--tls", "--auth", "PLAIN", *LOGIN).out


def test_our_checkpassword_checks_it_as_a_program_too(today: Post) -> None:
    known(today)
    port = today.serve("qmail-smtpd", "checkpassword", "true")
    assert swaks(port, "--tls", "--auth", "PLAIN", *LOGIN).code == 0
    today.control("esmtp", EVERYTHING.replace("auth", "auth cram-md5"))
    assert swaks(port, "--tls", "--auth", "CRAM-MD5", *LOGIN).code == 0
    assert len(today.queued()) == 2


def test_the_standard_librarys_client_verifies_the_certificate_and_sends_utf8(today: Post) -> None:
    trusting = certify(today)
    with smtplib.SMTP(
        "127.0.0.1", today.smtp(), "client.example", timeout=harness.DEADLINE, source_address=(STRANGER, 0)
    ) as client:
        client.starttls(context=trusting)
        client.login("jiro", "sesame")
        client.sendmail("jiro@mail.example.com", ["\u00fc@elsewhere.example"], "x\r\n", ["SMTPUTF8", "SIZE=3"])
    (message,) = today.queued()
    assert b" with UTF8SMTPSA; " in message


def test_what_comes_behind_starttls_in_the_same_packet_is_never_run(today: Post) -> None:
    with smtplib.SMTP("127.0.0.1", today.smtp(), "client.example", timeout=harness.DEADLINE) as client:
        client.ehlo()
        assert client.sock is not None
        client.sock.sendall(b"STARTTLS\r\nMAIL FROM:<injected@evil.example>\r\n")
        assert client.getreply()[0] == 220
        context = ssl.create_default_context(cafile=str(today.home / "cert.pem"))
        client.sock = context.wrap_socket(client.sock, server_hostname="127.0.0.1")
        client.file = None
        assert client.docmd("RCPT TO:<x@y>") == (503, b"5.5.1 MAIL first")


def test_a_new_certificate_is_in_use_from_the_next_connection(today: Post) -> None:
    port = today.smtp()

    def serial() -> object:
        trusting = ssl.create_default_context(cafile=str(today.home / "cert.pem"))
        with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=harness.DEADLINE) as client:
            client.starttls(context=trusting)
            assert isinstance(client.sock, ssl.SSLSocket)
            found = client.sock.getpeercert()
            assert found is not None
            return found["serialNumber"]

    first = serial()
    certify(today)
    assert serial() != first


def test_a_certificate_that_is_none_ends_no_service(today: Post) -> None:
    (today.home / "control" / "servercert.pem").write_text("nothing\n")
    with smtplib.SMTP("127.0.0.1", today.smtp(), "client.example", timeout=harness.DEADLINE) as client:
        client.ehlo()
        with pytest.raises((smtplib.SMTPServerDisconnected, ssl.SSLError, OSError)):
            client.starttls()
    until(lambda: b"servercert.pem: " in today.log.read_bytes())
    (today.home / "control" / "servercert.pem").unlink()
    with smtplib.SMTP("127.0.0.1", today.smtp(), "client.example", timeout=harness.DEADLINE) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.docmd("NOOP")[0] == 250


def test_msmtp_logs_in_and_sends(today: Post) -> None:
    msmtp = installed("msmtp")
    settings = today.home / "msmtprc"
    settings.write_text(
        f"defaults\nhost 127.0.0.1\nport {today.smtp()}\nauth plain\nuser jiro\npassword sesame\nsource_ip {STRANGER}\n"
        f"tls on\ntls_starttls on\ntls_trust_file {today.home}/cert.pem\naccount default\n"
    )
    settings.chmod(0o600)
    sent = harness.run([msmtp, "-C", settings, "-f", f"jiro@{HOST}", AWAY], stdin=b"Subject: x\n\nx\n")
    assert sent.code == 0, sent.err
    assert b" with ESMTPSA; " in today.queued()[0]


def test_curl_sends_and_fetches_within_tls(today: Post) -> None:
    curl = installed("curl")
    (today.home / "mail").write_bytes(b"Subject: x\r\n\r\nx\r\n")
    common: list[harness.Word] = [
        curl,
        "-sS",
        "--cacert",
        today.home / "cert.pem",
        "--user",
        "jiro:sesame",
        "--ssl-reqd",
    ]
    sent = harness.run(
        [
            *common,
            *("--interface", STRANGER, "--mail-from", f"jiro@{HOST}", "--mail-rcpt", AWAY),
            *("--upload-file", today.home / "mail", f"smtp://127.0.0.1:{today.smtp()}/client.example"),
        ]
    )
    assert sent.code == 0, sent.err
    assert b" with ESMTPSA; " in today.queued()[0]
    put(today, "1.x.host", b"Subject: one\n\nbody\n")
    fetched = harness.run([*common, f"pop3://127.0.0.1:{today.pop3()}/1"])
    assert (fetched.code, fetched.out) == (0, b"Subject: one\r\n\r\nbody\r\n\r\n"), fetched.err
    again = harness.run(
        [*[each for each in common if each != "--ssl-reqd"], f"pop3s://127.0.0.1:{today.pop3(POP3S='1')}/1"]
    )
    assert (again.code, again.out) == (0, fetched.out), again.err


def test_s_nail_sends_within_tls(today: Post) -> None:
    nail = installed("s-nail")
    mta = f"smtp://jiro:sesame@127.0.0.1:{today.smtp()}"
    sent = harness.run(
        [
            nail,
            *("-:/", "-S", "v15-compat", "-S", f"mta={mta}", "-S", "smtp-use-starttls", "-S", "smtp-auth=plain"),
            *("-S", f"from=jiro@{HOST}", "-S", "tls-verify=ignore", "-S", "sendwait", "-S", f"hostname={HOST}"),
            *("-s", "from s-nail", AWAY),
        ],
        stdin=b"hello\n",
        env={"HOME": str(today.home)},
    )
    assert sent.code == 0, sent.err
    assert b" with ESMTPSA; " in today.queued()[0]


def test_fetchmail_fetches_within_tls(today: Post) -> None:
    fetchmail = installed("fetchmail")
    put(today, "1.x.host", b"Subject: one\n\nbody\n")
    settings = today.home / "fetchmailrc"
    settings.write_text(
        f'poll 127.0.0.1 protocol pop3 port {today.pop3()} uidl user "jiro" password "sesame"\n'
        f'sslproto "TLS1.2+" sslcertck sslcertfile {today.home}/cert.pem sslcommonname {HOST}\n'
        f'mda "cat >>{today.home}/fetched"\n'
    )
    settings.chmod(0o600)
    done = harness.run(
        [
            fetchmail,
            "-f",
            settings,
            "--nosyslog",
            "-v",
            "--idfile",
            today.home / "ids",
            "--pidfile",
            today.home / "pid",
        ],
        env={"HOME": str(today.home), "USER": "root", "LOGNAME": "root"},
    )
    assert done.code == 0, done.out + done.err
    assert b"Subject: one" in (today.home / "fetched").read_bytes()
    assert not list((mailbox(today) / "new").iterdir())


def test_mpop_fetches_with_apop_where_every_secret_is_known(today: Post, folder: Path) -> None:
    mpop = installed("mpop")
    known(today)
    put(today, "1.x.host", b"Subject: one\n\nbody\n")
    for each in ("", "new", "cur", "tmp"):
        (folder / "fetched" / each).mkdir(parents=True, exist_ok=True)
    fetched = harness.run(
        [
            mpop,
            *("--file=", "--host=127.0.0.1", f"--port={today.pop3()}", "--tls=off", "--auth=apop", "--user=jiro"),
            *("--passwordeval=echo sesame", f"--delivery=maildir,{folder}/fetched", f"--uidls-file={folder}/uidls"),
        ]
    )
    assert fetched.code == 0, fetched.out + fetched.err
    assert len(list((folder / "fetched" / "new").iterdir())) == 1


def test_there_is_a_timestamp_only_where_apop_can_work(today: Post) -> None:
    def greeting() -> bytes:
        with contextlib.closing(poplib.POP3("127.0.0.1", port, timeout=harness.DEADLINE)) as client:
            return client.getwelcome()

    port = today.pop3()
    assert greeting() == b"+OK "
    known(today)
    assert re.fullmatch(rb"\+OK <\d+\.\d+@mail\.example\.com>", greeting())
    today.control("pop3", "capa")
    assert greeting() == b"+OK "


def test_capa_is_answered_before_the_login_and_after_it(today: Post) -> None:
    client = poplib.POP3("127.0.0.1", today.pop3(), timeout=harness.DEADLINE)
    assert set(client.capa()) == {"TOP", "UIDL", "USER", "PIPELINING", "EXPIRE", "IMPLEMENTATION", "STLS"}
    client.stls(ssl.create_default_context(cafile=str(today.home / "cert.pem")))
    assert "STLS" not in client.capa()
    client.user("jiro")
    client.pass_("sesame")
    assert "UIDL" in client.capa()
    client.quit()


def test_a_large_mailbox_comes_whole_through_tls(today: Post) -> None:
    line = b".x" * 35
    put(today, "1.x.host", b"Subject: big\n\n" + (line + b"\n") * 20_000)
    client = poplib.POP3_SSL(
        "127.0.0.1",
        today.pop3(POP3S="1"),
        timeout=harness.DEADLINE,
        context=ssl.create_default_context(cafile=str(today.home / "cert.pem")),
    )
    client.user("jiro")
    client.pass_("sesame")
    assert client.retr(1)[1] == [b"Subject: big", b"", *[line] * 20_000, b""]
    client.dele(1)
    client.quit()
    until(lambda: not list((mailbox(today) / "new").iterdir()))


def test_unique_names_are_the_same_for_ever_and_fit_the_protocol(today: Post) -> None:
    strange = "1." + "\u00e9" * 40 + ".host"
    put(today, "0.plain.host", b"x\n")
    put(today, strange, b"x\n")

    def names() -> set[bytes]:
        client = poplib.POP3("127.0.0.1", port, timeout=harness.DEADLINE)
        client.user("jiro")
        client.pass_("sesame")
        found = {each.split(b" ", 1)[1] for each in client.uidl()[1]}
        client.quit()
        return found

    port = today.pop3()
    first = names()
    assert b"0.plain.host" in first
    assert all(re.fullmatch(rb"[\x21-\x7e]{1,70}", name) for name in first)
    # QUIT has moved them to cur/ and given them flags.
    assert names() == first


def test_a_client_that_fails_again_and_again_waits_longer_and_is_locked_out(today: Post) -> None:
    today.control("loginfailures", "3")
    port = today.pop3()

    def log_in(password: str) -> bool:
        with contextlib.closing(poplib.POP3("127.0.0.1", port, timeout=harness.DEADLINE)) as client:
            client.user("jiro")
            try:
                return client.pass_(password) == b"+OK "
            except poplib.error_proto:
                return False

    assert [log_in("wrong") for _ in range(3)] == [False] * 3
    assert not log_in("sesame")
    said = today.log.read_bytes()
    assert b"login of jiro from 127.0.0.1 failed, number 3 in a row: the address is locked out for 900 seconds" in said
    assert b"login of jiro from 127.0.0.1 refused: the address is locked out" in said
    (today.home / "users" / "failures" / "127.0.0.1").unlink()
    assert log_in("sesame")


@pytest.mark.parametrize(
    "garbage", [b"EHLO x\r\n", b"\x16\x03\x01", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x80\x2e\x01", b""]
)
def test_what_is_no_handshake_ends_the_connection_and_is_a_line_in_the_log(today: Post, garbage: bytes) -> None:
    for port in (today.smtp(SMTPS="1"), today.pop3(POP3S="1")):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=harness.DEADLINE) as client,
            contextlib.suppress(ConnectionError),
        ):
            # The server may have hung up by now.
            with contextlib.suppress(OSError):
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
            said = b""
            while block := client.recv(4096):
                said += block
            # An alert at most.
            assert said[:1] in (b"", b"\x15")
    until(lambda: today.log.read_bytes().count(b"status: 0/") >= 4)
    assert b"Traceback" not in today.log.read_bytes()
    assert b"internal error" not in today.log.read_bytes()


def test_a_client_that_is_silent_within_a_handshake_is_left_after_the_time_limit(today: Post) -> None:
    today.control("timeoutsmtpd", "1")
    with socket.create_connection(("127.0.0.1", today.smtp(SMTPS="1")), timeout=harness.DEADLINE) as client:
        client.sendall(b"\x16\x03\x01")
        assert client.recv(10) == b""


def test_one_standing_worker_keeps_nothing_of_a_session_within_tls(today: Post) -> None:
    port = today.smtp("--workers", "1")
    for _ in range(3):
        sent = swaks(port, "--tls", "--auth", "PLAIN", *LOGIN)
        assert sent.code == 0, sent.out
        assert b"553 5.7.1 " in swaks(port, "--tls").out
    assert len(today.queued()) == 3


def test_mutt_sends_within_tls(today: Post) -> None:
    mutt = installed("mutt")
    settings = today.home / "muttrc"
    settings.write_text(
        f'set smtp_url="smtp://jiro@127.0.0.1:{today.smtp()}/"\nset smtp_pass=sesame\nset smtp_authenticators="plain"\n'
        f'set ssl_starttls=yes\nset ssl_force_tls=yes\nset certificate_file="{today.home}/cert.pem"\n'
        f'set from="jiro@{HOST}"\nset use_from=yes\nset copy=no\nset hostname={HOST}\nset ssl_verify_host=no\n'
    )
    sent = harness.run(
        [mutt, "-n", "-F", settings, "-s", "from mutt", AWAY], stdin=b"hello\n", env={"HOME": str(today.home)}
    )
    assert sent.code == 0, sent.out + sent.err
    assert b" with ESMTPSA; " in today.queued()[0]
