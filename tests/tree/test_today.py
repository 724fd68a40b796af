"""A whole tree that offers what mail has learned since qmail: logins, TLS, a domain of its own, no backscatter."""

from __future__ import annotations

import contextlib
import poplib
import smtplib
import ssl

import pytest

from tests.harness import DEADLINE, ours, run, until
from tests.mail import certificates
from tests.tree.conftest import HOST, Tree

STRANGER = "127.0.0.3"


@pytest.fixture
def trusted(tree: Tree) -> ssl.SSLContext:
    """Turn everything on in a tree that runs; who trusts its certificate."""
    control = tree.directory / "qmail" / "control"
    certificate, path = certificates.make(tree.directory.parent, HOST)
    (control / "servercert.pem").write_bytes(certificate)
    (control / "pop3").write_text("capa\nstls\napop\n")
    (control / "rcptcheck").write_text("1\n")
    (control / "esmtp").write_text("size\nstarttls\nauth\nsmtputf8\nenhancedstatuscodes\n")
    return ssl.create_default_context(cafile=path)


def user(tree: Tree, *words: str, password: str = "") -> None:
    done = run([ours("svtree"), "user", words[0], tree.directory, *words[1:]], stdin=password.encode() + b"\n")
    assert done.code == 0, done.err


def test_a_user_made_meanwhile_sends_by_login_and_fetches_within_tls(tree: Tree, trusted: ssl.SSLContext) -> None:
    user(tree, "add", "hana", "--password-stdin", password="sakura")
    user(tree, "add", "info@shop.example", "--password-stdin", password="sale")
    with smtplib.SMTP("127.0.0.1", tree.smtp_port, "client", DEADLINE, source_address=(STRANGER, 0)) as client:
        client.starttls(context=trusted)
        client.login("hana", "sakura")
        assert client.sendmail(f"hana@{HOST}", ["info@shop.example"], "Subject: to the shop\n\nx\n") == {}

    def fetched() -> bytes:
        with contextlib.closing(poplib.POP3("127.0.0.1", tree.pop3_port, timeout=DEADLINE)) as client:
            client.stls(trusted)
            client.user("info@shop.example")
            client.pass_("sale")
            assert client.stat()[0] == 1
            message = b"\n".join(client.retr(1)[1])
            client.quit()
            return message

    message = until(fetched)
    assert b"Subject: to the shop" in message
    assert b" with ESMTPSA; " in message
    assert b"Delivered-To: shop.example-info@shop.example\n" in message


def test_a_recipient_that_is_nobody_is_refused_and_bounces_at_nobody(tree: Tree, trusted: ssl.SSLContext) -> None:
    assert trusted
    with tree.smtp(STRANGER) as client:
        client.mail("forged@elsewhere.example")
        assert client.rcpt(f"nobodyhere@{HOST}") == (550, b"5.1.1 sorry, no mailbox here by that name.")
        assert client.rcpt(f"jiro@{HOST}")[0] == 250
        assert client.rcpt(f"postmaster@{HOST}")[0] == 250
    user(tree, "remove", "jiro")
    with tree.smtp(STRANGER) as client:
        client.mail("forged@elsewhere.example")
        assert client.rcpt(f"jiro@{HOST}")[0] == 550


def test_failures_and_the_lock_out_are_in_the_trees_log(tree: Tree, trusted: ssl.SSLContext) -> None:
    (tree.directory / "qmail" / "control" / "loginfailures").write_text("2\n")
    for service in ("smtp", "pop3"):
        if service == "smtp":
            with smtplib.SMTP("127.0.0.1", tree.smtp_port, "client", DEADLINE) as client:
                client.starttls(context=trusted)
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    client.login("jiro", "wrong", initial_response_ok=True)
        else:
            with contextlib.closing(poplib.POP3("127.0.0.1", tree.pop3_port, timeout=DEADLINE)) as fetching:
                fetching.user("jiro")
                with pytest.raises(poplib.error_proto):
                    fetching.pass_("wrong")
    # smtplib tries PLAIN, then LOGIN: two failures already; what is wrong by POP3 is not even looked at.
    until(lambda: "the address is locked out for 900 seconds" in tree.logs())
    until(lambda: "login of jiro from 127.0.0.1 refused: the address is locked out" in tree.logs())
