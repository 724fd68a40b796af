from __future__ import annotations

import os
import poplib
import re
import socket
from pathlib import Path

import pytest

from svtree.mail import accounts
from svtree.mail.accounts import Account
from tests import harness
from tests.harness import DEADLINE
from tests.mail.wire import Served, serve

LOGIN = ["qmail-popup", "mail.example.com", "checkpassword", "qmail-pop3d", "Maildir"]


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "control").mkdir()
    (folder / "control" / "me").write_text("mail.example.com\n")
    accounts.add(bytes(folder), b"jiro", b"sesame")
    return folder


@pytest.fixture
def user(home: Path) -> Account:
    found = accounts.find(b"jiro", {b"QMAILHOME": bytes(home)})
    assert found is not None
    return found


def put(user: Account, name: str, text: bytes) -> Path:
    """A message in the user's Maildir."""
    path = Path(os.fsdecode(user.home), "Maildir", name)
    path.write_bytes(text)
    os.chown(path, user.uid, user.gid)
    return path


def log_in(served: Served) -> None:
    assert re.fullmatch(rb"\+OK <\d+\.\d+@mail\.example\.com>\r\n", served.line())
    assert served.ask(b"USER jiro") == b"+OK \r\n"
    assert served.ask(b"PASS sesame") == b"+OK \r\n"


def test_the_exit_code_is_1_however_it_went(home: Path) -> None:
    for said in (b"QUIT\r\n", b"USER jiro\r\nPASS sesame\r\nQUIT\r\n", b"USER jiro\r\nPASS x\r\n", b""):
        with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
            served.client.sendall(said)
            served.client.shutdown(socket.SHUT_WR)
            served.rest()
            assert served.end() == (1, b""), said


def test_what_follows_the_password_in_one_packet_reaches_the_mailbox(home: Path, user: Account) -> None:
    put(user, "new/1.a.host", b"Subject: x\n\nbody\n")
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        served.client.sendall(b"USER jiro\r\nPASS sesame\r\nSTAT\r\nRETR 1\r\nQUIT\r\n")
        assert served.rest().split(b"\r\n")[1:] == [
            *(b"+OK ", b"+OK ", b"+OK 1 17"),
            *(b"+OK ", b"Subject: x", b"", b"body", b"", b".", b"+OK ", b""),
        ]


def test_a_message_that_another_session_has_removed_cannot_be_opened_or_removed(home: Path, user: Account) -> None:
    first = put(user, "new/1.a.host", b"x\n")
    put(user, "new/2.b.host", b"y\n")
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        log_in(served)
        first.unlink()
        put(user, "new/3.c.host", b"later\n")
        assert served.ask(b"STAT") == b"+OK 2 4\r\n"
        assert served.ask(b"RETR 1") == b"-ERR unable to open that message\r\n"
        assert served.ask(b"DELE 1") == b"+OK \r\n"
        assert served.ask(b"DELE 2") == b"+OK \r\n"
        assert served.ask(b"QUIT") == b"-ERR unable to unlink all deleted messages\r\n"
        assert served.rest() == b"+OK \r\n"
    assert os.listdir(user.home + b"/Maildir/new") == [b"3.c.host"]
    assert os.listdir(user.home + b"/Maildir/cur") == []


def test_a_message_is_there_as_soon_as_it_is_delivered(home: Path, user: Account) -> None:
    put(user, "new/1.a.host", b"just now\n")
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        log_in(served)
        assert served.ask(b"STAT") == b"+OK 1 9\r\n"


def test_a_user_without_a_maildir_is_told_so(home: Path, user: Account) -> None:
    Path(os.fsdecode(user.home), "Maildir").rename(home / "away")
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        served.line()
        served.ask(b"USER jiro")
        assert served.ask(b"PASS sesame") == b"-ERR this user has no $HOME/Maildir\r\n"
        assert served.rest() == b""


def test_a_maildir_without_new_is_told_of(home: Path, user: Account) -> None:
    os.rmdir(user.home + b"/Maildir/new")
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        served.line()
        served.ask(b"USER jiro")
        assert served.ask(b"PASS sesame") == b"-ERR unable to scan $HOME/Maildir\r\n"


def test_what_is_wrong_with_the_accounts_is_in_the_log_and_not_for_the_client(home: Path) -> None:
    with open(accounts.path(bytes(home)), "ab") as file:
        file.write(b"oops\n")
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        served.line()
        served.ask(b"USER jiro")
        assert served.ask(b"PASS sesame") == b"-ERR authorization failed\r\n"
        assert served.rest() == b""
        assert served.end() == (1, b"checkpassword: fatal: %b/users/virtual:2: not NAME:SECRET:HOME\n" % bytes(home))


@pytest.mark.parametrize(
    ("checker", "answer"),
    [
        (["/nonexistent/checkpassword"], b"-ERR authorization failed\r\n"),
        (["sh", "-c", "exit 1"], b"-ERR authorization failed\r\n"),
        (["sh", "-c", "exec 3<&-; exit 1"], b"-ERR authorization failed\r\n"),
        (["sh", "-c", "kill -9 $$"], b"-ERR aack, child crashed\r\n"),
        (["sh", "-c", "cat <&3 | tr '\\0' '|'; echo"], b"jiro|sesame|<"),
    ],
)
def test_any_other_checker_is_run_and_asked_by_the_same_interface(
    home: Path, checker: list[str], answer: bytes
) -> None:
    with serve(["qmail-popup", "host", *checker], {"QMAILHOME": str(home)}) as served:
        banner = served.line()
        served.ask(b"USER jiro")
        said = served.ask(b"PASS sesame")
        assert said.startswith(answer)
        if said.startswith(b"jiro|"):
            assert said == b"jiro|sesame|" + banner.split(b" ")[1].rstrip() + b"|\n"


def test_apop_works_where_the_secret_is_known(home: Path, user: Account) -> None:
    Path(os.fsdecode(accounts.path(bytes(home)))).write_bytes(b"jiro:{PLAIN}sesame:\n")
    port, server = _listen(home)
    try:
        client = poplib.POP3("127.0.0.1", port, timeout=DEADLINE)
        assert client.apop("jiro", "sesame") == b"+OK "
        client.quit()
    finally:
        server.end()


def test_without_a_timestamp_nobody_is_led_to_apop(home: Path) -> None:
    with serve(LOGIN, {"QMAILHOME": str(home), "NOAPOP": ""}) as served:
        assert served.line() == b"+OK \r\n"
        assert served.ask(b"APOP jiro c4c9334bac560ecc979e58001b3e22fb") == b"-ERR authorization first\r\n"
        served.ask(b"USER jiro")
        assert served.ask(b"PASS sesame") == b"+OK \r\n"


def _listen(home: Path) -> tuple[int, harness.Processes]:
    processes = harness.Processes()
    server = processes.start(
        [harness.ours("tcpserver"), "-R", "-H", "-1", "-l", "0", "127.0.0.1", "0", *LOGIN],
        env={"QMAILHOME": str(home)},
    )
    assert server.stdout is not None
    return int(server.stdout.readline()), processes


def test_a_large_message_comes_whole_and_a_large_mailbox_is_listed(home: Path, user: Account) -> None:
    line = b".x" * 35 + b"\n"
    put(user, "new/0.big.host", b"Subject: big\n\n" + line * 100_000)
    os.utime(user.home + b"/Maildir/new/0.big.host", (1, 1))
    for number in range(2000):
        put(user, f"cur/{number}.many.host:2,S", b"x\n")
    port, server = _listen(home)
    try:
        client = poplib.POP3("127.0.0.1", port, timeout=DEADLINE)
        client.user("jiro")
        client.pass_("sesame")
        assert client.stat() == (2001, 14 + 71 * 100_000 + 2 * 2000)
        assert len(client.uidl()[1]) == 2001
        assert client.retr(1)[1] == [b"Subject: big", b"", *[line.rstrip()] * 100_000, b""]
        assert client.top(1, 2)[1] == [b"Subject: big", b"", *[line.rstrip()] * 2, b""]
        client.quit()
    finally:
        server.end()


def test_how_it_is_called_is_told_the_client_as_the_original_does() -> None:
    for words in (["qmail-popup"], ["qmail-popup", "host"]):
        found = harness.run([harness.ours(words[0]), *words[1:]])
        assert (found.code, found.out) == (1, b"-ERR usage: popup hostname subprogram\r\n")


@pytest.mark.root
def test_nobodys_mail_is_read_as_root(home: Path) -> None:
    found = harness.run([harness.ours("qmail-pop3d"), "Maildir"], cwd=home)
    assert (found.code, found.out, found.err) == (1, b"", b"qmail-pop3d invoked as uid 0, terminating\n")


@pytest.mark.root
def test_a_tree_of_roots_where_nobody_else_gets_to_serves_its_users(home: Path, user: Account) -> None:
    put(user, "new/1.a.host", b"x\n")
    home.chmod(0o700)
    assert user.uid != 0
    with serve(LOGIN, {"QMAILHOME": str(home)}) as served:
        log_in(served)
        assert served.ask(b"STAT") == b"+OK 1 2\r\n"
        assert served.ask(b"QUIT") == b"+OK \r\n"


def test_with_its_descriptors_closed_nothing_of_ours_takes_their_place(home: Path) -> None:
    words = ["/bin/sh", "-c", 'exec "$@" <&- >&-', "sh", harness.ours("qmail-popup"), *LOGIN[1:]]
    assert harness.run(words, env={"QMAILHOME": str(home)}).code == 1


def test_the_failures_of_other_peoples_checkers_are_counted_by_their_exit_codes(home: Path) -> None:
    (home / "control" / "loginfailures").write_text("2\n")
    checker = home / "checker"
    checker.write_text(
        '#!/bin/sh\ncat <&3 >/dev/null; echo >>"$QMAILHOME/asked"; read code <"$QMAILHOME/code"; exit "$code"\n'
    )
    checker.chmod(0o755)

    def tried(code: int) -> tuple[bytes, bytes]:
        """What the client and the log are told when the checker exits so."""
        (home / "code").write_text(f"{code}\n")
        words = ["qmail-popup", "mail.example.com", str(checker), "true"]
        with serve(words, {"QMAILHOME": str(home), "TCPREMOTEIP": "192.0.2.1"}) as served:
            served.client.sendall(b"USER jiro\r\nPASS x\r\n")
            said = served.rest().splitlines()[-1]
            return said, served.end()[1].removeprefix(b"qmail-popup: warning: login of jiro from 192.0.2.1 ")

    refused = b"-ERR authorization failed"
    locked = b"failed, number 2 in a row: the address is locked out for 900 seconds\n"
    assert tried(1) == (refused, b"failed, number 1 in a row\n")
    # Trouble is nobody's fault, and a good login ends the row.
    assert tried(111) == (refused, b"")
    assert tried(0) == (b"+OK ", b"")
    assert tried(1) == (refused, b"failed, number 1 in a row\n")
    assert tried(3) == (refused, locked)
    asked = (home / "asked").read_text()
    assert tried(0) == (refused, b"refused: the address is locked out\n")
    assert (home / "asked").read_text() == asked == "\n" * 5
