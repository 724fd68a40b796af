from __future__ import annotations

import errno
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.mail.delivery import maildir
from svtree.mail.delivery.failure import DeliveryError
from tests.harness import environment, ours
from tests.mail.delivery.home import MESSAGE, Home

HEAD = b"Return-Path: <sender@example.org>\nDelivered-To: joe@mail.example.com\n"
TEMPORARY = b"Temporary error on maildir delivery. (#4.3.0)"


@pytest.fixture
def message(folder: Path) -> Iterator[int]:
    """A descriptor at the beginning of MESSAGE."""
    path = folder / "mess"
    path.write_bytes(MESSAGE)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    yield descriptor
    os.close(descriptor)


def deliver(home: Home, message: int) -> None:
    os.lseek(message, 0, os.SEEK_SET)
    maildir.deliver(os.fsencode(home.path / "Maildir"), b"Head: 1\n", message, now=1234)


def test_a_message_is_named_after_time_process_and_host(home: Home) -> None:
    before = int(time.time())
    home.deliver()
    name = os.listdir(home.path / "Maildir" / "new")[0]
    match = re.fullmatch(r"([0-9]+)\.([0-9]+)\.(.+)", name)
    assert match
    assert before <= int(match[1]) <= time.time()
    assert match[3] == os.uname().nodename
    assert home.left() == []


def test_deliveries_of_one_process_in_one_second_have_different_names(home: Home, message: int) -> None:
    for _ in range(3):
        deliver(home, message)
    assert home.mails() == [b"Head: 1\n" + MESSAGE] * 3


def test_a_host_s_name_cannot_lead_out_of_the_directory_or_look_like_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "a/b:2,S", "", "", "")))
    assert next(maildir.names(1, 2)).endswith(b".a\\057b\\0722,S")


def test_another_s_message_of_the_same_name_is_not_replaced(
    home: Home, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two hosts, or two pid namespaces, may come to the same name.
    names = iter([b"1.2.host", b"1.3.host", b"1.4.host"])
    monkeypatch.setattr(maildir, "names", lambda *_: names)
    (home.path / "Maildir" / "tmp" / "1.2.host").write_bytes(b"being written")
    (home.path / "Maildir" / "new" / "1.3.host").write_bytes(b"another")
    deliver(home, message)
    assert home.mails() == [b"another", b"Head: 1\n" + MESSAGE]
    assert home.left() == ["1.2.host"]


def test_the_message_and_then_its_name_are_on_disk_before_success(
    home: Home, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, link = os.fsync, os.link

    def note_fsync(descriptor: int) -> None:
        order.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def note_link(source: bytes, target: bytes) -> None:
        order.append(("link", os.path.basename(os.fsdecode(target))))
        link(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "link", note_link)
    deliver(home, message)
    name = os.listdir(home.path / "Maildir" / "new")[0]
    assert order == [("sync", name), ("link", name), ("sync", "new")]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "link"])
def test_whatever_call_fails_nothing_stays_and_the_mail_is_kept(
    home: Home, message: int, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real = getattr(os, call)

    def fail(*words: object, **more: object) -> object:
        if call == "close":
            real(*words)
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DeliveryError) as caught:
        deliver(home, message)
    monkeypatch.undo()
    assert (caught.value.message, caught.value.code) == (TEMPORARY, 111)
    assert home.mails() == []
    assert home.left() == []


def test_a_name_that_does_not_reach_the_disk_is_taken_back(
    home: Home, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail_for_directories(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_directories)
    with pytest.raises(DeliveryError):
        deliver(home, message)
    assert home.mails() == []
    assert home.left() == []


def test_where_there_are_no_hard_links_the_file_is_renamed(
    home: Home, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: bytes, target: bytes) -> None:
        raise PermissionError(errno.EPERM, "operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    deliver(home, message)
    assert home.mails() == [b"Head: 1\n" + MESSAGE]
    assert home.left() == []


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("Maildir", b"Unable to chdir to maildir. (#4.2.1)\n"),
        ("Maildir/tmp", TEMPORARY + b"\n"),
        ("Maildir/new", TEMPORARY + b"\n"),
    ],
)
def test_a_maildir_that_is_not_whole_defers_the_mail(home: Home, missing: str, text: bytes) -> None:
    (home.path / missing).rename(home.path / "elsewhere")
    done = home.deliver()
    assert (done.code, done.err) == (111, text)
    if missing == "Maildir/new":
        assert home.left() == []


def test_a_file_in_the_place_of_the_maildir_defers_the_mail(home: Home) -> None:
    home.write("file", "")
    assert home.deliver(default="./file/").err == b"Unable to chdir to maildir. (#4.2.1)\n"


def test_a_message_that_cannot_be_read_is_said_so(home: Home) -> None:
    directory = os.open(home.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with pytest.raises(DeliveryError, match="Unable to read message"):
            maildir.deliver(os.fsencode(home.path / "Maildir"), b"", directory, now=1)
    finally:
        os.close(directory)
    assert home.left() == []


def test_a_delivery_that_hangs_ends(home: Home, message: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    monkeypatch.setattr(maildir, "PATIENCE", 1)
    try:
        with pytest.raises(DeliveryError, match="Timeout on maildir delivery"):
            maildir.deliver(os.fsencode(home.path / "Maildir"), b"", reading, now=1)
    finally:
        os.close(reading)
        os.close(writing)
    assert home.left() == []
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_killed_at_any_moment_it_leaves_whole_messages_or_none(home: Home) -> None:
    source = home.beside / "message"
    source.write_bytes(MESSAGE + b"x" * 79 + b"\n" * 2_000_000)
    whole = len(HEAD) + source.stat().st_size
    words = ["joe", str(home.path), "joe", "", "", "mail.example.com", "sender@example.org", "./Maildir/"]
    chance = random.Random(1)
    for _ in range(25):
        with source.open("rb") as stdin:
            process = subprocess.Popen(
                [ours("qmail-local"), "--", *words], stdin=stdin, stdout=subprocess.DEVNULL, env=environment()
            )
            try:
                process.wait(chance.uniform(0.005, 0.06))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.returncode == 0:
            assert home.mails()
        for path in (home.path / "Maildir" / "new").iterdir():
            assert path.stat().st_size == whole
            path.unlink()


def test_beyond_the_limit_on_file_sizes_nothing_stays_and_the_mail_is_kept(home: Home) -> None:
    home.write("mbox", "as it was")
    limited = ("--fsize=10000", ours("qmail-local"))
    done = home.deliver(MESSAGE + b"x" * 50_000, program="prlimit", options=(*limited, "--"))
    assert (done.code, done.err) == (111, TEMPORARY + b"\n")
    assert home.mails() == []
    assert home.left() == []
    done = home.deliver(MESSAGE + b"x" * 50_000, program="prlimit", options=(*limited, "--"), default="./mbox")
    assert (done.code, done.err) == (111, b"Unable to write ./mbox: file too big. (#4.3.0)\n")
    assert home.mbox() == b"as it was"


@pytest.mark.root
def test_on_a_full_disk_nothing_stays_and_the_mail_is_kept(home: Home) -> None:
    disk = home.path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("may not mount a file system")
    try:
        for name in ("tmp", "new", "cur"):
            (disk / name).mkdir()
        done = home.deliver(MESSAGE + b"x" * 200_000, default="./disk/")
        assert (done.code, done.err) == (111, TEMPORARY + b"\n")
        assert os.listdir(disk / "tmp") == os.listdir(disk / "new") == []
        done = home.deliver(MESSAGE + b"x" * 200_000, default="./disk/mbox")
        assert (done.code, done.err) == (111, b"Unable to write ./disk/mbox: out of disk space. (#4.3.0)\n")
        assert (disk / "mbox").read_bytes() == b""
    finally:
        subprocess.run(["umount", disk], check=True)
