from __future__ import annotations

import shutil

import pytest

from tests.harness import run, until
from tests.tree.conftest import HOST, Tree


def test_a_message_goes_in_by_smtp_and_comes_out_by_pop3(tree: Tree) -> None:
    reply = tree.send("Subject: testing\r\n\r\nThis is a test.\r\n")
    assert reply.startswith("ok ")
    message = tree.received("This is a test.")
    assert message.startswith(f"Return-Path: <jiro@{HOST}>\nDelivered-To: jiro@{HOST}\nReceived: (qmail ".encode())
    assert b"invoked from network); " in message
    assert f"by {HOST} with SMTP; ".encode() in message


def test_the_log_tells_the_whole_way_of_a_message(tree: Tree) -> None:
    tree.send("Subject: logged\r\n\r\nx\r\n")
    tree.received("logged")
    for line in (
        "tcpserver: status: 1/40",
        "tcpserver: ok ",
        "info msg ",
        f"to local jiro@{HOST}",
        "success: did_1+0+0/",
        "end msg ",
    ):
        until(lambda line=line: line in tree.logs(), what=line)  # type: ignore[misc]


def test_an_unknown_recipient_bounces_to_the_sender(tree: Tree) -> None:
    tree.send("Subject: lost\r\n\r\nx\r\n", recipients=[f"nobody@{HOST}"], sender=f"saburo@{HOST}")
    bounce = tree.received("failure notice", "saburo", "katou")
    assert b"Sorry, no mailbox here by that name. (#5.1.1)" in bounce
    assert b"Subject: lost" in bounce


def test_postmaster_is_the_first_user(tree: Tree) -> None:
    tree.send("Subject: for the postmaster\r\n\r\nx\r\n", recipients=[f"postmaster@{HOST}"])
    tree.received("for the postmaster")


def test_relaying_needs_a_rule_or_a_login(tree: Tree) -> None:
    tree.write("smtpd/tcp.smtp", ":allow\n")

    def refused() -> bool:
        with tree.smtp() as client:
            client.mail(f"jiro@{HOST}")
            return client.rcpt("c@elsewhere.example") == (
                553,
                b"sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
            )

    until(refused)
    tree.mailbox()
    with tree.smtp() as client:
        client.mail(f"jiro@{HOST}")
        assert client.rcpt("c@elsewhere.example")[0] == 250, "the POP login opens relaying"


def test_swaks_and_mpop_can_use_it(tree: Tree) -> None:
    for client in ("swaks", "mpop"):
        if shutil.which(client) is None:
            pytest.skip(f"{client} is not installed")
    server = f"127.0.0.1:{tree.smtp_port}"
    sent = run(["swaks", "--server", server, "--to", f"jiro@{HOST}", "--from", f"saburo@{HOST}", "--body", "by swaks"])
    assert sent.code == 0, sent.out
    tree.received("by swaks")
    target = tree.directory / "fetched"
    fetch = [
        *("mpop", "--host=127.0.0.1", f"--port={tree.pop3_port}", "--auth=user", "--user=jiro"),
        *("--passwordeval=echo sesame", "--tls=off", f"--delivery=mbox,{target}"),
        f"--uidls-file={tree.directory}/uidls",
    ]
    got = run(fetch)
    assert got.code == 0, got.err
    assert b"by swaks" in target.read_bytes()
    assert tree.mailbox() == [], "mpop deletes what it has fetched"
