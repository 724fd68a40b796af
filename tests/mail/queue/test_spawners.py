"""qmail-lspawn and qmail-rspawn: orders in, reports out; and how a child's end becomes a report."""

from __future__ import annotations

import os
import subprocess

import pytest

from svtree.mail.delivery.orders import Order, OrderError, check, local_report, remote_report, truncated
from tests.harness import DEADLINE, environment, ours
from tests.mail.queue.post import HOST, Post

JIRO = f"jiro@{HOST}".encode()


@pytest.mark.parametrize(
    ("code", "output", "report"),
    [
        (0, b"did 1+0+0\n", b"Kdid 1+0+0\n"),
        (0, b"", b"K"),
        (100, b"Sorry.\n", b"DSorry.\n"),
        (1, b"odd\n", b"Dodd\n"),
        (111, b"Later.\n", b"ZLater.\n"),
        (71, b"x", b"Zx"),
        (74, b"x", b"Zx"),
        (75, b"x", b"Zx"),
        (-9, b"x", b"Zqmail-local crashed.\n"),
        (112, b"x", b"ZInternal qmail-lspawn bug.\n"),
        (113, b"x", b"ZNot allowed to perform deliveries as root.\n"),
        (115, b"x", b"ZNFS failure in qmail-local.\n"),
        (116, b"x", b"ZUnable to find alias user!\n"),
        (117, b"x", b"ZTrouble reading users/cdb in qmail-lspawn.\n"),
        (118, b"x", b"ZTemporary failure in qmail-lspawn.\n"),
        (119, b"x", b"ZOut of memory in qmail-lspawn.\n"),
        (120, b"x", b"ZUnable to run qmail-local.\n"),
        (121, b"x", b"ZUnable to run qmail-getpw.\n"),
        (126, b"x", b"DUnable to run qmail-local.\n"),
        (0, b"seen\0hidden", b"Kseen"),
    ],
)
def test_qmail_locals_end_is_reported_as_by_qmail_lspawn(code: int, output: bytes, report: bytes) -> None:
    assert local_report(code, output) == report


@pytest.mark.parametrize(
    ("code", "output", "report"),
    [
        (-15, b"", b"Zqmail-remote crashed.\n"),
        (111, b"x", b"ZUnable to run qmail-remote.\n"),
        (100, b"x", b"DUnable to run qmail-remote.\n"),
        (0, b"", b"Zqmail-remote produced no output.\n"),
        (0, b"r\0Kaccepted\n\0", b"Kaccepted\n"),
        (0, b"rrcpt said\n\0Kaccepted\n\0", b"Krcpt said\naccepted\n"),
        (0, b"hno such user\n\0Dfailed\n\0", b"Dno such user\nfailed\n"),
        (0, b"hno such user\n\0Kaccepted\n\0", b"Dno such user\n"),
        (0, b"snot now\n\0Zfailed\n\0", b"Znot now\nfailed\n"),
        (0, b"snot now\n\0Dfailed\n\0", b"Znot now\nfailed\n"),
        (0, b"snot now\n\0Kaccepted\n\0", b"Znot now\n"),
        (0, b"r\0Zlost connection\n\0", b"Zlost connection\n"),
        (0, b"r\0Dno\n\0", b"Dno\n"),
        (0, b"ZConnected to nobody.\n\0", b"ZConnected to nobody.\n"),
        (0, b"DNo such host.\n\0", b"DNo such host.\n"),
        (0, b"garbage", b"D"),
    ],
)
def test_qmail_remotes_records_are_reported_as_by_qmail_rspawn(code: int, output: bytes, report: bytes) -> None:
    assert remote_report(code, output) == report


@pytest.mark.parametrize(
    ("order", "report"),
    [
        (Order(120, b"0/23", b"", JIRO), b"ZInternal error: delnum too big. (#4.3.5)\n"),
        (Order(0, b"../23", b"", JIRO), b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
        (Order(0, b"/etc", b"", JIRO), b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
        (Order(0, b"/23", b"", JIRO), b"DInternal error: messid has nonnumerics. (#5.3.5)\n"),
        (Order(0, b"1" * 100, b"", JIRO), b"DInternal error: messid too long. (#5.3.5)\n"),
        (Order(0, b"", b"", JIRO), b"DInternal error: messid too short. (#5.3.5)\n"),
        (Order(0, b"0/23", b"", b"jiro"), b"DSorry, address must include host name. (#5.1.3)\n"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: Order, report: bytes) -> None:
    with pytest.raises(OrderError) as caught:
        check(order)
    assert caught.value.report == report


def test_a_long_report_is_cut_with_an_excuse() -> None:
    assert truncated(b"x" * 3000, 3000) == b"x" * 3000
    cut = truncated(b"x" * 3001, 3000)
    assert cut.endswith(b"x\nError report too long, sorry.\n")
    assert len(cut) == 2997
    assert truncated(b"x" * 5000, 0) == b"x" * 5000


def spawner(post: Post, name: str, *words: str) -> subprocess.Popen[bytes]:
    return post.processes.start([ours(name), *words], env=post.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def message(post: Post) -> bytes:
    assert post.queue([JIRO.decode()]).code == 0
    (name,) = post.files("mess")
    return os.fsencode(name.partition("/")[2])


def talk(process: subprocess.Popen[bytes], orders: bytes) -> bytes:
    out, err = process.communicate(orders, timeout=DEADLINE)
    assert (process.returncode, err) == (0, b"")
    assert out[:1] == b"\x78"
    return out[1:]


def test_a_spawner_says_how_many_it_can_run_and_then_reports(post: Post) -> None:
    post.program("qmail-local", 'cat; echo "$8"; exit 100\n')
    post.alias("default", "./Mailbox")
    name = message(post)
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\5%s\0s@h\0%s\0" % (name, JIRO))
    assert said[:2] == b"\5D"
    assert said.endswith(b"This is a test.\ns@h\n\0")


def test_orders_run_at_once_and_are_reported_as_they_end(post: Post) -> None:
    fifo = post.folder / "gate"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    post.program("qmail-local", f'case "$4" in slow) read x < {fifo};; fast) ;; esac; exit 0\n')
    name = message(post)
    process = spawner(post, "qmail-lspawn", "./Mailbox")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\0%s\0\0slow@h\0\1%s\0\0fast@h\0" % (name, name))
    process.stdin.flush()
    assert process.stdout.read(4) == b"\x78\1K\0"
    with fifo.open("w") as gate:
        gate.write("go\n")
    assert talk_rest(process) == b"\0K\0"


def talk_rest(process: subprocess.Popen[bytes]) -> bytes:
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    return out


def test_a_slot_in_use_is_refused(post: Post) -> None:
    fifo = post.folder / "gate"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    post.program("qmail-local", f"read x < {fifo}; exit 0\n")
    name = message(post)
    process = spawner(post, "qmail-lspawn", "./Mailbox")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\7%s\0\0a@h\0\7%s\0\0b@h\0" % (name, name))
    process.stdin.flush()
    wanted = b"\x78\7ZInternal error: delnum in use. (#4.3.5)\n\0"
    assert process.stdout.read(len(wanted)) == wanted
    with fifo.open("w") as gate:
        gate.write("go\n")
    assert talk_rest(process) == b"\7K\0"


def test_a_message_that_is_not_there_defers(post: Post) -> None:
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1" + b"0/23\0\0" + JIRO + b"\0")
    assert said == b"\1Zqmail-spawn unable to open message. (#4.3.0)\n\0"


@pytest.mark.root
def test_a_message_of_the_wrong_owner_defers(post: Post) -> None:
    name = message(post)
    os.chown(post.home / "queue" / "mess" / os.fsdecode(name), 12345, -1)
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s\0" % (name, JIRO))
    assert said == b"\1ZSorry, message has wrong owner. (#4.3.5)\n\0"


def test_a_message_that_is_no_file_defers(post: Post) -> None:
    (post.home / "queue" / "mess" / "0" / "23").mkdir()
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1" + b"0/23\0\0" + JIRO + b"\0")
    assert said == b"\1ZSorry, message has wrong type. (#4.3.5)\n\0"


def test_a_crash_defers(post: Post) -> None:
    post.program("qmail-local", "kill -9 $$\n")
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s\0" % (message(post), JIRO))
    assert said == b"\1Zqmail-local crashed.\n\0"


def test_mail_to_nobody_at_all_is_thrown_away(post: Post) -> None:
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0@h\0" % message(post))
    assert said == b"\1K\0"


def test_without_an_alias_user_delivery_defers(post: Post) -> None:
    (post.home / "alias").rmdir()
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0nobody-here@h\0" % message(post))
    assert said == b"\1ZUnable to find alias user!\n\0"


def test_a_mistake_in_the_users_file_defers_and_names_the_line(post: Post) -> None:
    (post.home / "users" / "virtual").write_text("garbage\n")
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s\0" % (message(post), JIRO))
    assert said.startswith(b"\1Z")
    assert b"users/virtual:1: " in said


def test_the_longest_user_name_that_is_there_gets_the_mail(post: Post) -> None:
    post.user("ann")
    post.user("ann-smith")
    post.program("qmail-local", 'echo "$2 $4 $5 $6"\n')
    name = message(post)
    reports = {}
    for local in (b"ann", b"ann-smith", b"ann-smith-x-y", b"ann-smit", b"ANN-x", b"bob-ann"):
        said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s@h\0" % (name, local))
        reports[local] = said[2:-2].decode()
    assert reports == {
        b"ann": "ann ann  ",
        b"ann-smith": "ann-smith ann-smith  ",
        b"ann-smith-x-y": "ann-smith ann-smith-x-y - x-y",
        b"ann-smit": "ann ann-smit - smit",
        b"ANN-x": "ann ANN-x - x",
        b"bob-ann": "alias bob-ann - bob-ann",
    }


@pytest.mark.root
def test_nothing_is_delivered_as_root(post: Post) -> None:
    home = post.user("jiro")
    os.chown(home, 0, 0)
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s\0" % (message(post), JIRO))
    assert said == b"\1ZNot allowed to perform deliveries as root.\n\0"


@pytest.mark.root
def test_a_delivery_runs_as_the_homes_owner_and_in_no_other_group(post: Post) -> None:
    home = post.user("jiro")
    os.chown(home, 4242, 4343)
    post.program("qmail-local", 'echo "$(id -u) $(id -g) $(id -G)"\n')
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s\0" % (message(post), JIRO))
    assert said == b"\1K4242 4343 4343\n\0"


def test_qmail_rspawn_runs_qmail_remote_with_host_sender_recipient(post: Post) -> None:
    post.program("qmail-remote", 'printf "r\\0K%s\\n\\0" "$*"\n')
    said = talk(spawner(post, "qmail-rspawn"), b"\3%s\0s@h\0a@b@elsewhere.example\0" % message(post))
    assert said == b"\3Kelsewhere.example s@h a@b@elsewhere.example\n\0"


def test_qmailremote_names_another_program(post: Post) -> None:
    post.program("my-remote", 'printf "r\\0Kmine\\n\\0"\n')
    process = post.processes.start(
        [ours("qmail-rspawn")],
        env=post.env({"QMAILREMOTE": "my-remote"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert talk(process, b"\3%s\0s@h\0a@b\0" % message(post)) == b"\3Kmine\n\0"


def test_qmail_rspawn_forgets_which_hosts_did_not_answer(post: Post) -> None:
    tcpto = post.home / "queue" / "lock" / "tcpto"
    tcpto.write_bytes(b"x" * 1024)
    talk(spawner(post, "qmail-rspawn"), b"")
    assert tcpto.read_bytes() == bytes(1024)


def test_a_background_process_does_not_keep_a_delivery_for_ever(post: Post) -> None:
    post.program("qmail-local", 'sleep 3 & echo "$!" > "$(dirname "$QMAILHOME")/background"; echo done\n')
    (post.folder / "background").touch()
    (post.folder / "background").chmod(0o666)
    said = talk(spawner(post, "qmail-lspawn", "./Mailbox"), b"\1%s\0\0%s\0" % (message(post), JIRO))
    assert said == b"\1Kdone\n\0"


@pytest.mark.parametrize(("name", "words"), [("qmail-lspawn", []), ("qmail-rspawn", ["x"]), ("qmail-send", ["x"])])
def test_a_part_that_is_called_wrongly_says_how(post: Post, name: str, words: list[str]) -> None:
    done = subprocess.run(
        [ours(name), *words], env=environment(post.env()), input=b"", capture_output=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 100
    assert done.stderr.startswith(f"{name}: usage: ".encode())
