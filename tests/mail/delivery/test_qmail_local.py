from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest

from tests.harness import DEADLINE, environment, ours, run
from tests.mail.delivery.home import MESSAGE, Home

HEAD = b"Return-Path: <sender@example.org>\nDelivered-To: joe@mail.example.com\n"


def logged(report: bytes) -> str:
    """A report as qmail-send logs it."""
    return report.decode().replace(" ", "_").replace("\n", "/")


# From send-local-success, send-dotqmail-*, send-bounce, send-deferral-sticky, recorded from qmail's log; "delivery N:"
# and the result come from qmail-send and the exit code.
@pytest.mark.parametrize(
    ("dotqmail", "default", "code", "report"),
    [
        (None, "./Maildir/", 0, "did_1+0+0/"),
        ("|exit 99\n/nonexistent/\n", "./Maildir/", 0, "did_0+0+1/"),
        ("|echo hello world; exit 100\n", "./Maildir/", 100, "hello_world/"),
        ("|echo temp problem >&2; exit 111\n", "./Maildir/", 111, "temp_problem/"),
        ("", "./nothing/", 111, "Unable_to_chdir_to_maildir._(#4.2.1)/"),
    ],
)
def test_the_report_is_the_one_that_was_recorded(
    home: Home, dotqmail: str | None, default: str, code: int, report: str
) -> None:
    if dotqmail is not None:
        home.write(".qmail", dotqmail)
    done = home.deliver(default=default)
    assert (done.code, logged(done.out + done.err)) == (code, report)


def test_a_user_without_a_dotqmail_file_has_the_default_delivery(home: Home) -> None:
    assert home.deliver(default="./mbox").code == 0
    assert home.mbox().startswith(b"From sender@example.org ")


def test_an_extension_without_a_dotqmail_file_is_no_mailbox(home: Home) -> None:
    done = home.deliver(ext="nobody")
    assert (done.code, done.err) == (100, b"Sorry, no mailbox here by that name. (#5.1.1)\n")


def test_an_extension_with_an_empty_file_has_the_default_delivery(home: Home) -> None:
    home.write(".qmail-empty", "")
    assert home.deliver(ext="empty").code == 0
    assert len(home.mails()) == 1


def test_all_kinds_of_instructions_are_done_and_counted(home: Home) -> None:
    home.write(".qmail", "# all of them\n./Maildir/\n./mbox\n|cat > seen\n&a@b.example\nc@d.example\n./Maildir/\n")
    done = home.deliver()
    assert done.code == 0, done.err
    assert re.fullmatch(rb"did 3\+2\+1\nqp [0-9]+\n", done.out)
    assert home.mails() == [HEAD + MESSAGE] * 2
    assert home.mbox().endswith(b"\n" + HEAD + MESSAGE + b"\n")
    assert (home.path / "seen").read_bytes() == MESSAGE
    message, records = home.queued()
    assert message == b"Delivered-To: joe@mail.example.com\n" + MESSAGE
    assert records == [b"Fsender@example.org", b"Ta@b.example", b"Tc@d.example", b"", b""]


def test_a_failing_instruction_ends_it_and_nothing_is_forwarded(home: Home) -> None:
    home.write(".qmail", "&a@b.example\n./Maildir/\n|exit 111\n./mbox\n")
    assert home.deliver().code == 111
    assert len(home.mails()) == 1
    assert not (home.path / "mbox").exists()
    assert not (home.beside / "queued.message").exists()


def test_after_exit_code_99_earlier_forwards_are_done_and_later_lines_are_not(home: Home) -> None:
    home.write(".qmail", "&a@b.example\n|exit 99\n&c@d.example\n./mbox\n")
    done = home.deliver()
    assert done.out.startswith(b"did 0+1+1\nqp ")
    assert home.queued()[1][1:] == [b"Ta@b.example", b"", b""]
    assert not (home.path / "mbox").exists()


@pytest.mark.parametrize(
    ("code", "result"),
    [
        *((code, 0) for code in (0, 99)),
        *((code, 100) for code in (64, 65, 70, 76, 77, 78, 100, 112)),
        *((code, 111) for code in (1, 71, 75, 111, 255)),
    ],
)
def test_the_exit_code_of_a_program_decides(home: Home, code: int, result: int) -> None:
    home.write(".qmail", f"|exit {code}\n")
    assert home.deliver().code == result


def test_a_program_that_a_signal_ends_is_a_failure_for_now(home: Home) -> None:
    home.write(".qmail", "|kill -9 $$\n")
    done = home.deliver()
    assert (done.code, done.err) == (111, b"Aack, child crashed. (#4.3.0)\n")


def test_a_program_finds_the_message_its_environment_and_no_ignored_signal(home: Home) -> None:
    home.write(".qmail-list-default", "|env > seen.env; cat > seen; grep SigIgn /proc/self/status > seen.signals\n")
    done = home.deliver(ext="List-J.Doe-x", sender="a b@c", host="one.two.example.com")
    assert done.code == 0, done.err
    seen = dict(line.split("=", 1) for line in (home.path / "seen.env").read_text().splitlines() if "=" in line)
    wanted = {
        "SENDER": "a b@c",
        "NEWSENDER": "a b@c",
        "RECIPIENT": "joe-List-J.Doe-x@one.two.example.com",
        "USER": "joe",
        "HOME": str(home.path),
        "HOST": "one.two.example.com",
        "HOST2": "one.two.example",
        "HOST3": "one.two",
        "HOST4": "one",
        "LOCAL": "joe-List-J.Doe-x",
        "EXT": "List-J.Doe-x",
        "EXT2": "J.Doe-x",
        "EXT3": "x",
        "EXT4": "",
        "DEFAULT": "J.Doe-x",
        "DTLINE": "Delivered-To: joe-List-J.Doe-x@one.two.example.com",
        "RPLINE": 'Return-Path: <"a b"@c>',
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert re.fullmatch(r"From a-b@c \w{3} \w{3} [0-9]{2} [0-9:]{8} [0-9]{4}", seen["UFLINE"])
    assert (home.path / "seen").read_bytes() == MESSAGE
    assert int((home.path / "seen.signals").read_text().split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_the_most_special_file_counts(home: Home) -> None:
    for name in (".qmail-default", ".qmail-a-default", ".qmail-a-b"):
        home.write(name, f"|echo {name}:$DEFAULT\n")
    assert home.deliver(ext="A-B").out.startswith(b".qmail-a-b:\n")
    assert home.deliver(ext="A-C").out.startswith(b".qmail-a-default:C\n")
    assert home.deliver(ext="X.y").out.startswith(b".qmail-default:X.y\n")


def test_a_dot_in_an_extension_is_a_colon_in_the_file_name(home: Home) -> None:
    home.write(".qmail-j:doe", "./mbox\n")
    assert home.deliver(ext="J.Doe").code == 0
    assert home.deliver(ext="../../etc/passwd").code == 100


@pytest.mark.parametrize(
    ("files", "sender", "new_sender"),
    [
        ([".qmail-l-owner"], "s@x", b"joe-l-owner@mail.example.com"),
        ([".qmail-l-owner", ".qmail-l-owner-default"], "s@x", b"joe-l-owner-@mail.example.com-@[]"),
        ([".qmail-l-owner-default"], "s@x", b"s@x"),
        ([".qmail-l-owner"], "", b""),
        ([".qmail-l-owner"], "#@[]", b"#@[]"),
    ],
)
def test_a_list_with_an_owner_forwards_in_his_name(
    home: Home, files: list[str], sender: str, new_sender: bytes
) -> None:
    home.write(".qmail-l", "&a@b.example\n")
    for name in files:
        home.write(name, "&owner@b.example\n")
    assert home.deliver(ext="l", sender=sender).code == 0
    assert home.queued()[1][0] == b"F" + new_sender


@pytest.mark.parametrize(
    ("code", "result", "text"),
    [
        (31, 100, b"Unable to forward message: mail server permanently rejected message (#5.3.0).\n"),
        (53, 111, b"Unable to forward message: qq write error or disk full (#4.3.0).\n"),
    ],
)
def test_a_forward_that_the_queue_refuses_fails_with_the_queue_s_reason(
    home: Home, code: int, result: int, text: bytes
) -> None:
    home.queue(code)
    home.write(".qmail", "&a@b.example\n")
    done = home.deliver()
    assert (done.code, done.out, done.err) == (result, b"", text)


def test_a_message_that_has_been_here_is_looping(home: Home) -> None:
    message = b"X: y\nDelivered-To: joe@mail.example.com\n" + MESSAGE
    done = home.deliver(message)
    loop = b"This message is looping: it already has my Delivered-To line. (#5.4.6)\n"
    assert (done.code, done.err) == (100, loop)
    assert home.mails() == []


@pytest.mark.parametrize(
    "message",
    [
        b"Delivered-To: JOE@mail.example.com\n\n",
        b"Delivered-To: joe@mail.example.com.\n\n",
        b" Delivered-To: joe@mail.example.com\n\n",
        b"\nDelivered-To: joe@mail.example.com\n",
        b"X: " + b"y" * 600_000 + b"Delivered-To: joe@mail.example.com\n",
        b"Delivered-To: joe@mail.example.com",
    ],
)
def test_only_the_very_same_line_in_the_header_is_a_loop(home: Home, message: bytes) -> None:
    assert home.deliver(message).code == 0


def test_a_loop_is_found_however_far_down_the_header_it_is(home: Home) -> None:
    message = b"".join(b"X-%d: %s\n" % (number, b"y" * 500) for number in range(2000))
    assert home.deliver(message + b"Delivered-To: joe@mail.example.com\n\n").code == 100


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o1755, b"Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"),
        (0o757, b"Uh-oh: home directory is writable. (#4.7.0)\n"),
    ],
)
def test_a_home_that_cannot_be_trusted_now_defers_the_mail(home: Home, mode: int, text: bytes) -> None:
    home.path.chmod(mode)
    done = home.deliver()
    assert (done.code, done.err) == (111, text)


def test_a_dotqmail_file_that_others_may_write_defers_the_mail(home: Home) -> None:
    home.write(".qmail", "./mbox\n", 0o606)
    done = home.deliver()
    assert (done.code, done.err) == (111, b"Uh-oh: .qmail file is writable. (#4.7.0)\n")


@pytest.mark.parametrize(("line", "what"), [("./mbox", b"file"), ("./Maildir/", b"file"), ("|exit 0", b"prog")])
@pytest.mark.parametrize("how", ["mode", "list"])
def test_a_file_that_only_forwards_must_not_deliver(home: Home, line: str, what: bytes, how: str) -> None:
    if how == "mode":
        home.write(".qmail", f"&a@b.example\n{line}\n", 0o700)
    else:
        home.write(".qmail", f"+list\n&a@b.example\n{line}\n")
    done = home.deliver()
    assert (done.code, done.err) == (111, b"Uh-oh: .qmail has %s delivery but has x bit set. (#4.7.0)\n" % what)


def test_a_blank_first_line_defers_the_mail(home: Home) -> None:
    home.write(".qmail", "\n./Maildir/\n")
    done = home.deliver()
    assert (done.code, done.err) == (111, b"Uh-oh: first line of .qmail file is blank. (#4.2.1)\n")


def test_a_dotqmail_that_is_no_plain_file_is_none(home: Home) -> None:
    os.mkfifo(home.path / ".qmail-a")
    home.write(".qmail-default", "|exit 0\n")
    assert home.deliver(ext="a").code == 0


def test_a_home_that_is_not_there_defers_the_mail(home: Home) -> None:
    home.path.rename(home.beside / "elsewhere")
    done = home.deliver()
    assert done.code == 111
    assert done.err == b"Unable to switch to %s: file does not exist. (#4.3.0)\n" % os.fsencode(home.path)


def test_a_message_that_cannot_be_read_twice_is_refused(home: Home) -> None:
    words = ["joe", str(home.path), "joe", "", "", "h", "s", "./Maildir/"]
    done = run([ours("qmail-local"), "--", *words], stdin=MESSAGE)
    assert (done.code, done.err) == (111, b"Unable to rewind message. (#4.3.0)\n")


def test_with_n_the_instructions_are_shown_and_nothing_is_done(home: Home) -> None:
    home.path.chmod(0o1755)
    home.write(".qmail", "./Maildir/\n./mbox\n|exit 100\n&a@b.example\n")
    done = home.deliver(b"Delivered-To: joe@mail.example.com\n\n", options=("-n", "--"))
    assert done.code == 0
    assert done.out == b"maildir ./Maildir/\nmbox ./mbox\nprogram exit 100\nforward a@b.example\ndid 2+1+1\n"
    assert done.err == b"Warning: home directory is sticky.\n"
    assert home.mails() == []


def test_of_n_and_capital_n_the_last_counts(home: Home) -> None:
    assert home.deliver(options=("-nN", "--")).code == 0
    assert len(home.mails()) == 1


@pytest.mark.parametrize("words", [[], ["joe"], ["joe", "home", *"abcdef"], ["joe", "/", *"abcdefg"], ["-x"]])
def test_wrong_arguments_are_told_how_it_goes(words: list[str]) -> None:
    done = run([ours("qmail-local"), *words])
    assert done.code == 100
    assert b"qmail-local: usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty\n" in done.err


def test_a_newline_in_an_address_does_not_begin_a_line_of_the_header(home: Home) -> None:
    done = home.deliver(sender="a\nX-Forged: yes@c", host="h\nX-Forged: yes")
    assert done.code == 0
    head = home.mails()[0].removesuffix(MESSAGE)
    assert [line.split(b":")[0] for line in head.splitlines()] == [b"Return-Path", b"Delivered-To"]


def test_nothing_is_readable_for_others(home: Home) -> None:
    home.write(".qmail", "./Maildir/\n./mbox\n|umask\n")
    assert home.deliver().out.startswith(b"0077\n")
    files = [*(home.path / "Maildir" / "new").iterdir(), home.path / "mbox"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_program_gets_no_descriptor_but_the_three(home: Home) -> None:
    home.write(".qmail", "|ls /proc/self/fd > seen\n")
    assert home.deliver().code == 0
    # The fourth is ls looking.
    assert len((home.path / "seen").read_text().split()) == 4


def test_a_program_may_leave_the_message_half_read(home: Home) -> None:
    home.write(".qmail", "|head -c 10 > /dev/null\n./mbox\n|true\n./Maildir/\n")
    big = MESSAGE + b"x" * 80 + b"\n" * 200_000
    assert home.deliver(big).code == 0
    assert home.mails() == [HEAD + big]


def test_run_inside_another_process_it_does_the_same(home: Home) -> None:
    # qmail-lspawn runs it in a forked child, without exec.
    home.write(".qmail", "./Maildir/\n./Maildir/\n|exit 99\n")
    source = home.beside / "message"
    source.write_bytes(MESSAGE)
    code = (
        "import os, sys\n"
        "from svtree.multicall import become\n"
        "become([os.fsencode(word) for word in sys.argv[1:]], dict(os.environb))\n"
    )
    words = ["qmail-local", "--", "joe", str(home.path), "joe", "", "", "mail.example.com", "sender@example.org", "x"]
    with source.open("rb") as stdin:
        done = subprocess.run(
            [ours("python"), "-c", code, *words],
            stdin=stdin,
            env=environment(),
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"did 2+0+1\n", b"")
    assert home.mails() == [HEAD + MESSAGE] * 2
