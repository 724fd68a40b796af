from __future__ import annotations

import fcntl
import mailbox
import os
import re
import subprocess
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.delivery import mbox
from svtree.mail.delivery.failure import DeliveryError
from svtree.mail.delivery.mbox import FromQuoter
from tests.harness import DEADLINE, Processes, environment, ours, until
from tests.mail.delivery.home import MESSAGE, Home

HEAD = b"Return-Path: <sender@example.org>\nDelivered-To: joe@mail.example.com\n"


def quoted(message: bytes, cuts: list[int]) -> bytes:
    quoter = FromQuoter()
    places = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    blocks = [message[start:end] for start, end in pairwise(places)]
    return b"".join(quoter.feed(block) for block in blocks if block) + quoter.end()


def plainly_quoted(message: bytes) -> bytes:
    lines = re.sub(rb"(?m)^(>*From )", rb">\1", message)
    return lines + (b"\n" if lines.endswith(b"\n") or not lines else b"\n\n")


PIECES = st.lists(st.sampled_from([b"\n", b">", b"From ", b"Fro", b"m ", b" ", b"x", b"From"]), max_size=12).map(
    b"".join
)


@given(PIECES, st.lists(st.integers(0, 40), max_size=6))
def test_lines_that_look_like_the_beginning_of_a_message_are_quoted_however_the_blocks_are_cut(
    message: bytes, cuts: list[int]
) -> None:
    assert quoted(message, cuts) == plainly_quoted(message)


def test_a_long_row_of_marks_is_not_held_in_memory() -> None:
    quoter = FromQuoter()
    assert quoter.feed(b">" * 100_000) == b">" * 100_000
    assert quoter.feed(b"Fro") == b""
    assert quoter.feed(b"m me\n") == b">From me\n"
    assert quoter.end() == b"\n"


def test_a_message_is_appended_with_its_from_line_and_a_blank_line(home: Home) -> None:
    home.write(".qmail", "./mbox\n")
    for message in (MESSAGE, b"Subject: 2\n\nFrom me\n>From you\nno newline", b""):
        assert home.deliver(message).code == 0
    text = re.sub(rb"(?m)^(From \S+ ).*", rb"\1DATE", home.mbox())
    start = b"From sender@example.org DATE\n" + HEAD
    assert text == (
        start + MESSAGE + b"\n" + start + b"Subject: 2\n\n>From me\n>>From you\nno newline\n\n" + start + b"\n"
    )
    with closing(mailbox.mbox(home.path / "mbox")) as box:
        assert len(box) == 3


def test_a_bounce_is_from_the_mailer_daemon(home: Home) -> None:
    home.deliver(sender="", default="./mbox")
    assert home.mbox().startswith(b"From MAILER-DAEMON ")
    assert b"\nReturn-Path: <>\n" in home.mbox()


def test_a_delivery_waits_for_the_lock(home: Home, processes: Processes) -> None:
    home.write("mbox", "")
    source = home.beside / "message"
    source.write_bytes(MESSAGE)
    words = ["joe", str(home.path), "joe", "", "", "h", "s", "./mbox"]
    with (home.path / "mbox").open("rb") as lock, source.open("rb") as stdin:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = processes.start([ours("qmail-local"), "--", *words], stdin=stdin.fileno())
        inode = os.fstat(lock.fileno()).st_ino
        until(lambda: re.search(rf"-> FLOCK.* {process.pid} .*:{inode} ", Path("/proc/locks").read_text()))
        assert process.poll() is None
        assert home.mbox() == b""
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert process.wait(DEADLINE) == 0
    assert home.mbox().endswith(MESSAGE + b"\n")


def test_a_lock_that_is_held_too_long_defers_the_mail(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write("mbox", "as it was")
    monkeypatch.setattr(mbox, "PATIENCE", 1)
    with (home.path / "mbox").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DeliveryError, match=r"File has been locked for 30 seconds straight\. \(#4\.3\.0\)"):
            mbox.deliver(os.fsencode(home.path / "mbox"), b"", 0)
    assert home.mbox() == b"as it was"


def test_deliveries_at_the_same_time_do_not_mix(home: Home) -> None:
    source = home.beside / "message"
    source.write_bytes(MESSAGE + b"x\n" * 300_000)
    words = ["joe", str(home.path), "joe", "", "", "h", "s", "./mbox"]
    running = []
    for _ in range(4):
        with source.open("rb") as stdin:
            running.append(
                subprocess.Popen(
                    [ours("qmail-local"), "--", *words], stdin=stdin, stdout=subprocess.DEVNULL, env=environment()
                )
            )
    assert [process.wait(DEADLINE) for process in running] == [0] * 4
    one = len(home.mbox()) // 4
    pieces = {home.mbox()[number * one : (number + 1) * one].split(b"\n", 1)[1] for number in range(4)}
    assert len(pieces) == 1


def test_a_file_that_cannot_be_opened_defers_the_mail(home: Home) -> None:
    home.write(".qmail", "./nowhere/mbox\n")
    done = home.deliver()
    assert (done.code, done.err) == (111, b"Unable to open ./nowhere/mbox: file does not exist. (#4.2.1)\n")


def test_a_fifo_that_nobody_reads_defers_the_mail(home: Home) -> None:
    os.mkfifo(home.path / "fifo")
    done = home.deliver(default="./fifo")
    assert (done.code, done.err) == (111, b"Unable to open ./fifo: device not configured. (#4.2.1)\n")


def test_on_a_full_device_the_mail_is_kept(home: Home) -> None:
    (home.path / "full").symlink_to("/dev/full")
    done = home.deliver(default="./full")
    assert (done.code, done.err) == (111, b"Unable to write ./full: out of disk space. (#4.3.0)\n")


def test_what_was_written_before_a_failure_is_cut_off_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write("mbox", "as it was")
    source = home.beside / "message"
    source.write_bytes(MESSAGE)

    def fail(descriptor: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with source.open("rb") as message, pytest.raises(DeliveryError, match="out of disk space"):
        mbox.deliver(os.fsencode(home.path / "mbox"), b"From x\n", message.fileno())
    assert home.mbox() == b"as it was"


def test_a_message_that_cannot_be_read_leaves_the_file_as_it_was(home: Home) -> None:
    home.write("mbox", "as it was")
    directory = os.open(home.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with pytest.raises(DeliveryError, match=r"Unable to read message: is a directory\. \(#4\.3\.0\)"):
            mbox.deliver(os.fsencode(home.path / "mbox"), b"From x\n", directory)
    finally:
        os.close(directory)
    assert home.mbox() == b"as it was"
