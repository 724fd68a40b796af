"""Recipients are refused before the message where qmail-local would bounce them after it, and never otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.formats import dotqmail as names
from svtree.mail import accounts
from svtree.mail.delivery import dotqmail, recipients
from svtree.mail.queue.layout import make_queue
from svtree.mail.queue.rewriting import LOCAL, Rules, rewrite
from svtree.mail.smtp.mailboxes import Mailboxes
from tests.mail.wire import serve

HOST = b"mail.example.com"
NO_MAILBOX = b"550 sorry, no mailbox here by that name. (#5.1.1)\r\n"


@pytest.fixture
def home(folder: Path) -> Path:
    """jiro has extensions; list.example is sales's, all of it; old.example is nobody's."""
    (folder / "control").mkdir()
    for name, text in {
        "me": "mail.example.com",
        "locals": "mail.example.com",
        "rcpthosts": "mail.example.com\nlist.example\nold.example\nbackup.example",
        "virtualdomains": "list.example:sales\nold.example:gone\nx@backup.example:jiro-backup\n.except.list.example:",
        "percenthack": "mail.example.com",
        "rcptcheck": "1",
    }.items():
        (folder / "control" / name).write_text(text + "\n")
    make_queue(bytes(folder))
    for user in (b"jiro", b"sales"):
        accounts.add(bytes(folder), user, b"sesame")
    (folder / "home/jiro/.qmail-list").write_text("&a@b\n")
    (folder / "home/jiro/.qmail-shop-default").write_text("./Maildir/\n")
    (folder / "home/jiro/.qmail-folder").mkdir()
    (folder / "home/sales/.qmail-default").write_text("./Maildir/\n")
    (folder / "alias").mkdir()
    (folder / "alias/.qmail-postmaster").write_text("&jiro\n")
    (folder / "alias/.qmail-dot:ted").write_text("&jiro\n")
    return folder


def mailboxes(home: Path, said: list[str] | None = None) -> Mailboxes:
    return Mailboxes({b"QMAILHOME": bytes(home)}, (said if said is not None else []).append)


@pytest.mark.parametrize(
    ("address", "there"),
    [
        (b"jiro@mail.example.com", True),
        (b"JIRO@MAIL.example.com", True),
        (b"jiro", True),
        (b"nobodyhere@mail.example.com", False),
        (b"jiro-list@mail.example.com", True),
        (b"jiro-LIST@mail.example.com", True),
        (b"jiro-other@mail.example.com", False),
        (b"jiro-shop-anything@mail.example.com", True),
        (b"jiro-folder@mail.example.com", False),
        (b"jiro-" + b"x" * 400 + b"@mail.example.com", False),
        (b"postmaster@mail.example.com", True),
        (b"dot.ted@mail.example.com", True),
        (b"anything@list.example", True),
        (b"anything@old.example", False),
        (b"x@backup.example", False),
        (b"y@backup.example", True),
        (b"nobody%elsewhere.example@mail.example.com", True),
        (b"nobody%mail.example.com@mail.example.com", False),
        (b"someone@elsewhere.example", True),
        (b"@mail.example.com", True),
    ],
)
def test_what_is_there_is_told_from_what_is_not(home: Path, address: bytes, there: bool) -> None:
    assert mailboxes(home).exists(address) is there


def delivery_says(home: Path, address: bytes) -> bool:
    """What the parts of qmail-lspawn and qmail-local say of an address: is it delivered somewhere?"""
    rules = Rules(HOST, frozenset({HOST}), frozenset({HOST}), {b"list.example": b"sales", b"old.example": b"gone"})
    channel, target = rewrite(rules, address)
    local = target.rpartition(b"@")[0]
    if channel != LOCAL or not local:
        return True
    who = recipients.find(local, {b"QMAILHOME": bytes(home)})
    if who is None:
        return False
    before = os.open(b".", os.O_RDONLY)
    try:
        os.chdir(who.home)
        return not who.dash or dotqmail.find(who.dash, who.extension) is not None
    finally:
        os.fchdir(before)
        os.close(before)


PARTS = st.sampled_from([b"jiro", b"sales", b"list", b"shop", b"default", b"postmaster", b"x", b".", b"", b"%", b"a.b"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=4), st.sampled_from([HOST, b"list.example", b"old.example", b"else.example"]))
def _agree(home: Path, parts: list[bytes], host: bytes) -> None:
    address = b"-".join(parts) + b"@" + host
    assert mailboxes(home).exists(address) is delivery_says(home, address), address


def test_it_says_what_the_delivery_says_for_any_address(home: Path) -> None:
    _agree(home)
    assert next(names.candidates(b"-", b"a.b")).name == b".qmail-a:b"


def test_what_cannot_be_told_is_taken_and_the_log_says_why(home: Path) -> None:
    with open(accounts.path(bytes(home)), "ab") as file:
        file.write(b"oops\n")
    said: list[str] = []
    assert mailboxes(home, said).exists(b"nobody@mail.example.com")
    assert said == [f"unable to look for a mailbox: {home}/users/virtual:3: not NAME:SECRET:HOME"]


def test_smtpd_refuses_it_before_the_message_even_from_a_relay_client(home: Path) -> None:
    for env in ({}, {"RELAYCLIENT": ""}):
        with serve(["qmail-smtpd"], {"QMAILHOME": str(home), **env}) as served:
            served.line()
            served.ask(b"MAIL FROM:<>")
            assert served.ask(b"RCPT TO:<nobodyhere@mail.example.com>") == NO_MAILBOX
            assert served.ask(b"RCPT TO:<jiro@mail.example.com>") == b"250 ok\r\n"
            assert served.ask(b"QUIT").startswith(b"221 ")
            assert served.end() == (0, b"")


def test_it_is_off_where_the_original_is_imitated(home: Path) -> None:
    (home / "control" / "rcptcheck").unlink()
    with serve(["qmail-smtpd"], {"QMAILHOME": str(home)}) as served:
        served.line()
        served.ask(b"MAIL FROM:<>")
        assert served.ask(b"RCPT TO:<nobodyhere@mail.example.com>") == b"250 ok\r\n"


@pytest.mark.root
def test_started_as_root_the_session_is_nobodys_and_another_process_answers(home: Path) -> None:
    (home / "control" / "esmtp").write_text("auth\n")
    (home / "home").chmod(0o700)
    env = {"QMAILHOME": str(home), "UID": "65534", "GID": "65534"}
    with serve(["qmail-smtpd"], env) as served:
        served.line()
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        assert "\nUid:\t65534\t65534\t65534\t65534\n" in status
        assert "\nGid:\t65534\t65534\t65534\t65534\n" in status
        assert "\nGroups:\t65534 \n" in status
        served.ask(b"MAIL FROM:<>")
        assert served.ask(b"RCPT TO:<nobodyhere@mail.example.com>") == NO_MAILBOX
        assert served.ask(b"RCPT TO:<jiro@mail.example.com>") == b"250 ok\r\n"
        served.ask(b"RSET")
        assert served.ask(b"AUTH PLAIN AGppcm8Ad3Jvbmc=")[:3] == b"535"
        assert served.ask(b"AUTH PLAIN AGppcm8Ac2VzYW1l")[:3] == b"235"
        assert served.ask(b"QUIT").startswith(b"221 ")
        assert served.rest() == b""
        assert served.end() == (0, b"")


@pytest.mark.root
def test_with_its_other_process_gone_it_refuses_no_mail_and_accepts_no_login(home: Path) -> None:
    (home / "control" / "esmtp").write_text("auth\n")
    env = {"QMAILHOME": str(home), "UID": "65534", "GID": "65534"}
    with serve(["qmail-smtpd"], env) as served:
        served.line()
        (child,) = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
        os.kill(int(child), 9)
        assert served.ask(b"AUTH PLAIN AGppcm8Ac2VzYW1l")[:3] == b"454"
        served.ask(b"MAIL FROM:<>")
        assert served.ask(b"RCPT TO:<nobodyhere@mail.example.com>") == b"250 ok\r\n"
        assert served.ask(b"QUIT").startswith(b"221 ")
        code, said = served.end()
        assert code == 0
        assert b"unable to ask the process that stayed root" in said
