from __future__ import annotations

import os
import re
import socket
import subprocess

import pytest

from svtree.formats import tcpto
from tests.harness import DEADLINE, environment, free_port, ours
from tests.mail.delivery.outgoing import Qmail
from tests.mail.delivery.scripted import CLOSE, RESET, SILENCE, ScriptedServer

ON_THE_WIRE = b"Subject: testing\r\n\r\nThis is a test.\r\n..\r\n...two\r\n"
DIED = b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n\0"


def test_a_message_is_sent_and_the_reports_are_qmail_s(qmail: Qmail) -> None:
    with ScriptedServer() as server:
        reports = qmail.send_to(server, recipients=("a@remote.example", "b c@remote.example"))
    assert reports == b"r\0r\0K127.0.0.1 accepted message.\nRemote host said: 250 ok 1234 qp 5678\n\0"
    heard = server.heard[0]
    assert heard.commands == [
        b"HELO here.example\r\n",
        b"MAIL FROM:<me@here.example>\r\n",
        b"RCPT TO:<a@remote.example>\r\n",
        b'RCPT TO:<"b c"@remote.example>\r\n',
        b"DATA\r\n",
        b"QUIT\r\n",
    ]
    assert heard.message == ON_THE_WIRE


R = b"r\0"
SAID = b"Remote host said: "


@pytest.mark.parametrize(
    ("replies", "reports"),
    [
        (
            {"greeting": b"421 busy\r\n"},
            b"ZConnected to 127.0.0.1 but greeting failed.\n" + SAID + b"421 busy\n\0",
        ),
        (
            {"greeting": b"554 no\r\n"},
            b"ZConnected to 127.0.0.1 but greeting failed.\n" + SAID + b"554 no\n\0",
        ),
        (
            {"greeting": b"hello there\n"},
            b"ZConnected to 127.0.0.1 but greeting failed.\n" + SAID + b"hello there\n\0",
        ),
        (
            {"HELO": b"501 who?\r\n"},
            b"ZConnected to 127.0.0.1 but my name was rejected.\n" + SAID + b"501 who?\n\0",
        ),
        (
            {"MAIL": b"451 later\r\n"},
            b"ZConnected to 127.0.0.1 but sender was rejected.\n" + SAID + b"451 later\n\0",
        ),
        (
            {"MAIL": b"553 never\r\n"},
            b"DConnected to 127.0.0.1 but sender was rejected.\n" + SAID + b"553 never\n\0",
        ),
        (
            {"RCPT": b"550-no such\r\n550 user\r\n"},
            b"h127.0.0.1 does not like recipient.\n" + SAID + b"550-no such\n550 user\n\0DGiving up on 127.0.0.1.\n\0",
        ),
        (
            {"RCPT": b"450 grey\r\n"},
            b"s127.0.0.1 does not like recipient.\n" + SAID + b"450 grey\n\0DGiving up on 127.0.0.1.\n\0",
        ),
        ({"DATA": b"451 disk\r\n"}, R + b"Z127.0.0.1 failed on DATA command.\n" + SAID + b"451 disk\n\0"),
        ({"DATA": b"554 spam\r\n"}, R + b"D127.0.0.1 failed on DATA command.\n" + SAID + b"554 spam\n\0"),
        (
            {"message": b"452 disk\r\n"},
            R + b"Z127.0.0.1 failed after I sent the message.\n" + SAID + b"452 disk\n\0",
        ),
        (
            {"message": b"554 spam\r\n"},
            R + b"D127.0.0.1 failed after I sent the message.\n" + SAID + b"554 spam\n\0",
        ),
        (
            {"message": b"250-a\r\n250-\r\n250 z\0z\r\n"},
            R + b"K127.0.0.1 accepted message.\n" + SAID + b"250-a\n250-\n250 z?z\n\0",
        ),
        ({"message": b"250\n"}, R + b"K127.0.0.1 accepted message.\n" + SAID + b"250\n\0"),
        ({"greeting": CLOSE}, DIED),
        ({"HELO": CLOSE}, DIED),
        ({"RCPT": CLOSE}, DIED),
        ({"DATA": RESET}, R + DIED),
        ({"message": CLOSE}, R + DIED.replace(b"(", b"Possible duplicate! (")),
    ],
)
def test_whatever_the_server_says_is_reported_as_qmail_does(
    qmail: Qmail, replies: dict[str, bytes], reports: bytes
) -> None:
    with ScriptedServer(replies) as server:
        assert qmail.send_to(server) == reports


def test_recipients_are_reported_in_their_order_and_the_message_goes_to_those_accepted(qmail: Qmail) -> None:
    replies = {"RCPT TO:<b@x>": b"550 no b\r\n", "RCPT TO:<c@x>": b"451 not now\r\n"}
    with ScriptedServer(replies) as server:
        reports = qmail.send_to(server, recipients=("a@x", "b@x", "c@x", "d@x"))
    assert reports.split(b"\0") == [
        b"r",
        b"h127.0.0.1 does not like recipient.\nRemote host said: 550 no b\n",
        b"s127.0.0.1 does not like recipient.\nRemote host said: 451 not now\n",
        b"r",
        b"K127.0.0.1 accepted message.\nRemote host said: 250 ok 1234 qp 5678\n",
        b"",
    ]


@pytest.mark.parametrize("when", ["greeting", "MAIL", "DATA"])
def test_a_server_that_says_nothing_is_left_after_timeoutremote(qmail: Qmail, when: str) -> None:
    qmail.control("timeoutremote", "3\n")
    with ScriptedServer({when: SILENCE}) as server:
        assert qmail.send_to(server).endswith(DIED)


def test_silence_after_the_message_may_mean_a_duplicate(qmail: Qmail) -> None:
    qmail.control("timeoutremote", "3\n")
    with ScriptedServer({"message": SILENCE}) as server:
        reports = qmail.send_to(server)
    assert reports == R + b"ZConnected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n\0"


def test_a_connection_that_dies_in_the_middle_of_the_message_is_reported(qmail: Qmail) -> None:
    with ScriptedServer({"message": RESET}) as server:
        assert qmail.send_to(server, b"x" * 79 + b"\n" * 20_000_000) == R + DIED


def test_a_reply_without_end_is_a_dead_connection(qmail: Qmail) -> None:
    with ScriptedServer({"greeting": b"220-" + b"x" * 3_000_000}) as server:
        assert qmail.send_to(server) == DIED


def test_no_more_than_a_page_of_a_reply_is_reported(qmail: Qmail) -> None:
    with ScriptedServer({"message": b"250-" + b"x" * 20_000 + b"\r\n250 ok\r\n"}) as server:
        reports = qmail.send_to(server)
    assert reports == R + b"K127.0.0.1 accepted message.\nRemote host said: 250-" + b"x" * 4996 + b"\0"


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"", b""),
        (b"\n", b"\r\n"),
        (b".", None),
        (b"a\nno newline", None),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\r.\rb\r\n", b"a\r\n..\r\nb\r\n"),
        (b"a\r", b"a\r\n"),
        (b".a\n.\n\n..\n", b"..a\r\n..\r\n\r\n...\r\n"),
        (b"caf\xe9\0\n", b"caf\xe9\0\r\n"),
        (b"x" * 300_000 + b"\n.\n", b"x" * 300_000 + b"\r\n..\r\n"),
        (b"x" * ((1 << 18) - 1) + b"\r\n.\n", b"x" * ((1 << 18) - 1) + b"\r\n..\r\n"),
    ],
)
def test_a_message_is_sent_in_lines_with_dots_doubled(qmail: Qmail, message: bytes, wire: bytes | None) -> None:
    with ScriptedServer() as server:
        reports = qmail.send_to(server, message)
    if wire is None:
        assert reports == R + b"DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n\0"
    else:
        assert server.heard[0].message == wire
        assert reports.startswith(R + b"K")


def test_a_big_message_is_not_held_in_memory(qmail: Qmail) -> None:
    with ScriptedServer({"message": b"250 ok\r\n"}) as server:
        qmail.control("smtproutes", f":[127.0.0.1]:{server.port}\n")
        size = 60_000_000
        source = qmail.path / "message"
        with source.open("wb") as file:
            file.write(b"Subject: x\n\n")
            file.truncate(size)
            file.seek(size)
            file.write(b"\n")
        with source.open("rb") as stdin:
            done = subprocess.run(
                ["prlimit", "--data=50000000", ours("qmail-remote"), "x", "me@x", "you@x"],
                stdin=stdin,
                env=environment({"QMAILHOME": str(qmail.path)}),
                capture_output=True,
                check=False,
                timeout=DEADLINE,
            )
    assert done.stdout == R + b"K127.0.0.1 accepted message.\nRemote host said: 250 ok\n\0"


def test_nobody_listening_is_a_failure_for_now(qmail: Qmail) -> None:
    # send-remote-deferral
    qmail.control("smtproutes", f":[127.0.0.1]:{free_port()}\n")
    assert qmail.send() == b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0"


def test_mail_for_an_address_of_this_machine_is_not_sent_round_in_circles(qmail: Qmail) -> None:
    # send-address-literal
    for host in ("[127.0.0.1]", "127.0.0.1", "[0.0.0.0]"):
        assert qmail.send(host=host, recipients=(f"a@{host}",)) == (
            b"DSorry. Although I'm listed as a best-preference MX or A for that host,\n"
            b"it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n\0"
        )


def test_the_name_to_say_hello_with_is_helohost(qmail: Qmail) -> None:
    qmail.control("helohost", "mail.example\n")
    with ScriptedServer() as server:
        qmail.send_to(server)
    assert server.heard[0].commands[0] == b"HELO mail.example\r\n"


@pytest.mark.parametrize("sender", ["", "#@[]", "no-at", 'q"t@x'])
def test_the_sender_may_be_anything(qmail: Qmail, sender: str) -> None:
    with ScriptedServer() as server:
        qmail.control("smtproutes", f":[127.0.0.1]:{server.port}\n")
        assert qmail.send(sender=sender).startswith(R + b"K")
    said = {"": b"", "#@[]": b"#@[]", "no-at": b"no-at", 'q"t@x': b'"q\\"t"@x'}
    assert server.heard[0].commands[1] == b"MAIL FROM:<" + said[sender] + b">\r\n"


@pytest.mark.parametrize("recipient", ["a\r\nDATA@x", "a@x\nRSET", "a@x\r"])
def test_a_line_end_in_an_address_does_not_become_a_command(qmail: Qmail, recipient: str) -> None:
    with ScriptedServer() as server:
        reports = qmail.send_to(server, recipients=("a@x", recipient))
    assert reports == b"DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0"
    assert server.heard == []


def test_too_few_arguments_are_a_failure_for_good(qmail: Qmail) -> None:
    assert qmail.send(recipients=()) == b"DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0"


def test_a_host_without_a_name_sends_nothing(qmail: Qmail) -> None:
    (qmail.path / "control" / "me").unlink()
    assert qmail.send() == b"ZUnable to read control files. (#4.3.0)\n\0"


def test_a_control_file_that_cannot_be_read_is_a_failure_for_now(qmail: Qmail) -> None:
    (qmail.path / "control" / "smtproutes").mkdir()
    assert qmail.send() == b"ZUnable to read control files. (#4.3.0)\n\0"


def test_without_qmail_s_directory_nothing_is_sent(qmail: Qmail) -> None:
    home = str(qmail.path / "nowhere")
    assert qmail.send(env={"QMAILHOME": home}) == b"ZUnable to switch to home directory. (#4.3.0)\n\0"


def test_a_reader_that_is_gone_is_no_reason_to_fail(qmail: Qmail) -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.close(reading)
    try:
        done = subprocess.run(
            [ours("qmail-remote")],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
            timeout=DEADLINE,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_connection_that_is_never_answered_is_given_up_and_remembered(qmail: Qmail) -> None:
    # A listener whose backlog is full answers nothing, as a host that is down.
    table = qmail.path / "queue" / "lock" / "tcpto"
    table.parent.mkdir(parents=True)
    table.write_bytes(bytes(1024))
    qmail.control("timeoutconnect", "1\n")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        qmail.control("smtproutes", f":[127.0.0.1]:{port}\n")
        reports = qmail.send()
        for each in waiting:
            each.close()
    assert reports == b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0"
    assert table.read_bytes()[:5] == bytes((127, 0, 0, 1, 1))


def test_a_host_that_did_not_answer_twice_is_passed_over(qmail: Qmail) -> None:
    table = qmail.path / "queue" / "lock" / "tcpto"
    table.parent.mkdir(parents=True)
    down = bytes(1024)
    for when in (1_000_000_000, 4_000_000_000):
        change = tcpto.note(down, bytes((127, 0, 0, 1)), when, timed_out=True)
        assert change is not None
        down = change[1] + down[16:]
    table.write_bytes(down)
    with ScriptedServer() as server:
        assert re.match(rb"ZSorry, I wasn't able", qmail.send_to(server))
    assert server.heard == []


def test_a_host_that_answers_again_is_forgiven(qmail: Qmail) -> None:
    table = qmail.path / "queue" / "lock" / "tcpto"
    table.parent.mkdir(parents=True)
    change = tcpto.note(bytes(1024), bytes((127, 0, 0, 1)), 1000, timed_out=True)
    assert change is not None
    table.write_bytes(change[1] + bytes(1008))
    with ScriptedServer() as server:
        assert qmail.send_to(server).startswith(R + b"K")
    assert table.read_bytes()[:5] == bytes((127, 0, 0, 1, 0))
