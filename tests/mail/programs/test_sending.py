"""sendmail and what sends mail through it, as cron and mail readers run them: with a short PATH, from anywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from svtree.mail.queue.layout import make_queue
from tests.harness import DEADLINE, Processes, ours, until
from tests.mail.queue.post import HOST, Post

SHORT = "/usr/bin:/bin"


class Sender:
    """A mail system whose queue takes messages and keeps them."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "qmail"
        (self.home / "control").mkdir(parents=True)
        (self.home / "control" / "me").write_text(HOST + "\n")
        make_queue(os.fsencode(self.home))

    def run(
        self, *argv: str, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of our programs by its path."""
        return subprocess.run(
            [ours(argv[0]), *argv[1:]],
            input=stdin,
            env={"PATH": SHORT, "QMAILHOME": str(self.home), "USER": "joe", **(env or {})},
            cwd="/",
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )

    def queued(self) -> tuple[bytes, list[bytes]]:
        """The one message in the queue, without the first Received line, and the records of its envelope."""
        (message,) = (path for path in (self.home / "queue" / "mess").rglob("*") if path.is_file())
        (todo,) = (self.home / "queue" / "todo").iterdir()
        return message.read_bytes().partition(b"\n")[2], todo.read_bytes().split(b"\0")[2:-1]


@pytest.fixture
def sender(folder: Path) -> Sender:
    return Sender(folder)


def test_cron_s_mail_is_sent(sender: Sender) -> None:
    text = b"From: root (Cron Daemon)\nTo: joe\nSubject: Cron <root@host> true\n\noutput\n.\nmore\n"
    done = sender.run("sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "joe", stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    message, envelope = sender.queued()
    assert envelope == [b"Fjoe@mail.example.com", b"Tjoe@mail.example.com"]
    assert message.endswith(b"\n\noutput\n.\nmore\n")


def test_t_takes_the_recipients_from_the_header_too(sender: Sender) -> None:
    done = sender.run(
        "sendmail", "-t", "-f", "me@x.example", "a@b.example", stdin=b"To: c@d.example\nBcc: e@f.example\n\n"
    )
    assert done.returncode == 0
    message, envelope = sender.queued()
    assert envelope == [b"Fme@x.example", b"Ta@b.example", b"Tc@d.example", b"Te@f.example"]
    assert b"From: me@x.example\n" in message
    assert b"Bcc" not in message


def test_today_s_options_change_nothing(sender: Sender) -> None:
    options = ["-N", "never", "-R", "hdrs", "-V", "id", "-U", "-n", "-G", "-Am", "-O", "x=y", "-L", "tag", "-h", "3"]
    done = sender.run("sendmail", *options, "-r", "me@x.example", "a@b.example", stdin=b"\nhi\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert sender.queued()[1] == [b"Fme@x.example", b"Ta@b.example"]


def test_bs_speaks_smtp_and_relays(sender: Sender) -> None:
    text = b"mail from:<a@b.example>\r\nrcpt to:<c@d.example>\r\ndata\r\nSubject: bs\r\n\r\nhi\r\n.\r\nquit\r\n"
    done = sender.run("sendmail", "-bs", stdin=text)
    assert done.returncode == 0
    assert re.findall(rb"^\d{3}", done.stdout, re.MULTILINE) == [b"220", b"250", b"250", b"354", b"250", b"221"]
    message, envelope = sender.queued()
    assert envelope == [b"Fa@b.example", b"Tc@d.example"]
    assert message.startswith(b"Received: from localhost (sendmail-bs@127.0.0.1)\n  by localhost with SMTP; ")


def test_bp_lists_the_queue(folder: Path, processes: Processes) -> None:
    post = Post(folder, processes)
    post.control("concurrencylocal", "0")
    post.start()
    post.queue([f"joe@{HOST}"])
    post.seen("^info msg")

    def listed() -> bytes:
        return subprocess.run(
            [ours("sendmail"), "-bp"],
            env={"PATH": SHORT, "QMAILHOME": str(post.home)},
            stdout=subprocess.PIPE,
            timeout=DEADLINE,
            check=True,
        ).stdout

    until(lambda: listed().endswith(b"\n\tlocal\tjoe@mail.example.com\n"))


def test_links_to_it_are_called_for_one_thing(sender: Sender, folder: Path) -> None:
    for name in ("mailq", "newaliases"):
        (folder / name).symlink_to(ours("sendmail"))
    env = {"PATH": SHORT, "QMAILHOME": str(sender.home)}
    listed = subprocess.run([folder / "mailq"], env=env, capture_output=True, timeout=DEADLINE, check=False)
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, b"", b"")
    asked = subprocess.run([folder / "newaliases"], env=env, capture_output=True, timeout=DEADLINE, check=False)
    assert (asked.returncode, asked.stderr) == (
        100,
        b"sendmail: fatal: please use fastforward/newaliases instead\n",
    )


def test_a_qmail_that_is_not_there_is_said(folder: Path) -> None:
    done = subprocess.run(
        [ours("sendmail"), "a@b"],
        env={"PATH": SHORT, "QMAILHOME": str(folder / "none")},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (111, b"sendmail: fatal: unable to switch to qmail home directory\n")


def test_datemail_writes_the_date_in_local_time(sender: Sender) -> None:
    done = sender.run("datemail", "-t", stdin=b"To: a@b.example\n\nhi\n", env={"TZ": "Asia/Tokyo"})
    assert (done.returncode, done.stderr) == (0, b"")
    message, envelope = sender.queued()
    assert envelope[1:] == [b"Ta@b.example"]
    assert re.search(rb"^Date: \d+ \w{3} \d{4} \d\d:\d\d:\d\d \+0900$", message, re.MULTILINE)
    assert message.count(b"Date: ") == 1


def test_mailsubj_writes_the_header(sender: Sender) -> None:
    done = sender.run("mailsubj", "disks are full", "a@b.example", "c@d.example", stdin=b"all\nof them\n")
    assert (done.returncode, done.stderr) == (0, b"")
    message, envelope = sender.queued()
    assert envelope[1:] == [b"Ta@b.example", b"Tc@d.example"] or envelope[1:] == [b"Tc@d.example", b"Ta@b.example"]
    assert b"Subject: disks are full\n" in message
    assert message.endswith(b"\n\nall\nof them\n")


def test_mailsubj_lets_no_subject_begin_another_field(sender: Sender) -> None:
    assert sender.run("mailsubj", "x\nBcc: spy@b.example", "a@b.example", stdin=b"hi\n").returncode == 0
    message, envelope = sender.queued()
    assert envelope[1:] == [b"Ta@b.example"]
    assert b"Subject: x Bcc: spy@b.example\n" in message


def test_mailsubj_passes_on_why_nothing_was_sent(sender: Sender) -> None:
    (sender.home / "queue" / "todo").rmdir()
    failed = sender.run("mailsubj", "x", "a@b.example", stdin=b"hi\n")
    assert failed.returncode == 111
    assert failed.stderr.startswith(b"qmail-inject: fatal: qq trouble")
    assert sender.run("mailsubj").returncode == 100


def test_another_qmail_on_the_path_is_used(sender: Sender, folder: Path) -> None:
    other = folder / "bin" / "qmail-inject"
    other.parent.mkdir()
    other.write_text('#!/bin/sh\necho "other $@"\ncat\n')
    other.chmod(0o755)
    done = sender.run("sendmail", "-fme@x", "a@b", stdin=b"text\n", env={"PATH": f"{other.parent}:{SHORT}"})
    assert done.stdout == b"other -a -f me@x -- a@b\ntext\n"


@pytest.mark.parametrize(
    "words",
    [
        (
            "s-nail",
            "-:/",
            "-Sv15-compat",
            "-Smta=file://{sendmail}",
            "-r",
            "joe@x.example",
            "-s",
            "by hand",
            "a@b.example",
        ),
        ("mutt", "-n", "-F", "/dev/null", "-e", 'set sendmail="{sendmail} -oem -oi"', "-s", "by hand", "a@b.example"),
        (
            "mutt",
            "-nF/dev/null",
            "-e",
            "set sendmail={sendmail} use_envelope_from from=joe@x.example",
            "-sby hand",
            "a@b.example",
        ),
    ],
    ids=["s-nail", "mutt", "mutt with an envelope sender"],
)
def test_mail_readers_send_through_it(sender: Sender, folder: Path, words: tuple[str, ...]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(
        [word.replace("{sendmail}", ours("sendmail")) for word in words],
        input=b"Dear a,\n.\nbye\n",
        env={"PATH": SHORT, "QMAILHOME": str(sender.home), "USER": "joe", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        cwd=folder,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    message, envelope = sender.queued()
    assert envelope[1:] == [b"Ta@b.example"]
    assert envelope[0].startswith(b"Fjoe@")
    assert b"Subject: by hand\n" in message
    assert message.endswith(b"\n\nDear a,\n.\nbye\n")
