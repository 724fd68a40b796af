"""The programs for people who read a Maildir: maildirwatch, qbiff, and the mail readers behind maildir2mbox."""

from __future__ import annotations

import os
import pty
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, Result, environment, ours, run, until

SCREEN = b"\x1b[;H\x1b[;J"


@pytest.fixture
def maildir(folder: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (folder / "Maildir" / name).mkdir(parents=True)
    return folder / "Maildir"


def put(maildir: Path, name: str, text: bytes, when: int) -> None:
    path = maildir / name
    path.write_bytes(text)
    os.utime(path, (when, when))


def screen(maildir: Path, processes: Processes) -> bytes:
    """What maildirwatch shows first."""
    output = maildir.parent / "screen"
    with output.open("wb") as file:
        watching = processes.start([ours("maildirwatch")], env={"MAILDIR": str(maildir)}, stdout=file.fileno())
    shown = until(output.read_bytes)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(DEADLINE) == -signal.SIGINT
    return shown


def test_maildirwatch_shows_what_new_mail_there_is(maildir: Path, processes: Processes) -> None:
    head = b"Return-Path: <a@b.example>\nDelivered-To: joe@c.example\n"
    put(maildir, "new/2", head + b"From: A <a@b.example>\nSubject: second\n\nText\x1b[2J of\nit.\n", 2000)
    put(maildir, "new/1", b"Subject: first\n\n" + b"x" * 400, 1000)
    put(maildir, "cur/3:2,S", head + b"\nseen before\n", 500)
    assert screen(maildir, processes) == (
        SCREEN + b"FROM ? TO <?>\nfirst//" + b"x" * 151 + b"\n\n"
        b"FROM <a@b.example> TO <joe@c.example>\n\x1b[1mFrom: A <a@b.example>\x1b[0m\n"
        b"second//Text/[2J of/it./\n\n"
    )


def test_maildirwatch_shows_an_empty_screen_where_there_is_nothing_new(maildir: Path, processes: Processes) -> None:
    assert screen(maildir, processes) == SCREEN


def test_maildirwatch_says_what_it_cannot_watch(folder: Path) -> None:
    assert run([ours("maildirwatch")]) == Result(111, b"", b"maildirwatch: fatal: MAILDIR not set\n")
    done = run([ours("maildirwatch")], env={"MAILDIR": str(folder / "none")})
    assert done == Result(
        111, b"", f"maildirwatch: fatal: unable to chdir to {folder}/none: file does not exist\n".encode()
    )
    done = run([ours("maildirwatch")], env={"MAILDIR": str(folder)})
    assert done == Result(111, SCREEN[:0], b"maildirwatch: fatal: unable to scan $MAILDIR/new: file does not exist\n")


@pytest.mark.parametrize(("program", "reader"), [("pinq", "pine"), ("elq", "elm"), ("qail", "Mail")])
def test_a_reader_finds_its_mail_in_the_mbox(folder: Path, maildir: Path, program: str, reader: str) -> None:
    put(maildir, "new/1", b"Return-Path: <a@b.example>\nSubject: x\n\nhi\n", 1000000000)
    path = folder / "bin" / reader
    path.parent.mkdir()
    path.write_text('#!/bin/sh\necho "$@"\ncat "$MAIL"\nexit 7\n')
    path.chmod(0o755)
    env = {"MAILDIR": str(maildir), "MAIL": str(folder / "mbox"), "MAILTMP": str(folder / "mbox.tmp")}
    env["PATH"] = f"{path.parent}:/usr/bin:/bin"
    done = run([ours(program), "-f", "x y"], env=env)
    assert done == Result(
        7,
        b"-f x y\nFrom a@b.example Sun Sep 09 01:46:40 2001\nReturn-Path: <a@b.example>\nSubject: x\n\nhi\n\n",
        b"",
    )
    assert list(maildir.rglob("1")) == []


def test_a_reader_is_not_run_where_the_mail_could_not_be_moved(folder: Path, maildir: Path) -> None:
    assert run([ours("pinq")]) == Result(111, b"", b"maildir2mbox: fatal: MAIL not set\n")


def test_what_cannot_be_removed_from_the_maildir_will_come_twice(folder: Path, maildir: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may remove anything")
    put(maildir, "new/1", b"\nhi\n", 1000000000)
    (maildir / "new").chmod(0o500)
    env = {"MAILDIR": str(maildir), "MAIL": str(folder / "mbox"), "MAILTMP": str(folder / "mbox.tmp")}
    done = run([ours("maildir2mbox")], env=env)
    (maildir / "new").chmod(0o700)
    assert done.code == 0
    assert done.err == (
        b"maildir2mbox: warning: $MAILDIR/new/1 will be delivered twice; unable to unlink: access denied\n"
    )


@pytest.mark.parametrize("name", ["mbox", "link"])
def test_the_mbox_is_not_written_over_itself(folder: Path, maildir: Path, name: str) -> None:
    put(maildir, "new/1", b"\nhi\n", 1000000000)
    (folder / "mbox").write_text("From old\n\nold\n\n")
    (folder / "link").symlink_to("mbox")
    env = {"MAILDIR": str(maildir), "MAIL": str(folder / "mbox"), "MAILTMP": str(folder / name)}
    done = run([ours("maildir2mbox")], env=env)
    assert done.code == 111
    assert done.err == f"maildir2mbox: fatal: unable to create {folder}/{name}: it is the mbox itself\n".encode()
    assert (folder / "mbox").read_text() == "From old\n\nold\n\n"
    assert (maildir / "new" / "1").exists()


@pytest.fixture
def terminal() -> Iterator[tuple[int, Path]]:
    """A terminal that its user has opened to messages: the end to read from, and its device."""
    ours_, theirs = pty.openpty()
    os.set_blocking(ours_, False)
    path = Path(os.ttyname(theirs))
    path.chmod(0o700)
    yield ours_, path
    os.close(ours_)
    os.close(theirs)


def logged_in(line: bytes, user: bytes, kind: int = 7) -> bytes:
    """A record of utmp, as far as getutxent(3) fills struct utmpx on this machine."""
    size = 400 if os.uname().machine == "aarch64" else 384
    return struct.pack("=hxxi32s4s32s", kind, 1234, line, b"1", user).ljust(size, b"\0")


def announce(folder: Path, records: bytes, env: dict[str, str] | None = None) -> Result:
    """Run qbiff on a message, where these are logged in."""
    utmp = folder / "utmp"
    utmp.write_bytes(records)
    message = b"Subject: dinner\x07\n\nat eight\n" + b"x" * 100
    variables = {"USER": "joe", "LOCAL": "joe-food", "SENDER": "fred\x1b@b", **(env or {})}
    # Where this process looks, and nobody else.
    script = f'mount -t tmpfs none /run && cp {utmp} /run/utmp && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", ours("qbiff")],
        input=message,
        env=environment(variables),
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def shown(terminal: tuple[int, Path]) -> bytes:
    try:
        return os.read(terminal[0], 4096)
    except BlockingIOError:
        return b""


@pytest.mark.root
def test_qbiff_announces_a_message_where_the_user_is(folder: Path, terminal: tuple[int, Path]) -> None:
    line = str(terminal[1].relative_to("/dev")).encode()
    assert announce(folder, logged_in(b"none", b"joe") + logged_in(line, b"joe")) == Result(0, b"", b"")
    text = "    dinner///at eight/".ljust(78, "x").encode()
    assert shown(terminal).replace(b"\r\r\n", b"\r\n") == (
        b"\r\n\x07*** TO <joe-food> FROM <fred_@b>\r\n" + text + b"\r\n"
    )


@pytest.mark.root
@pytest.mark.parametrize("user", [b"joey", b"fred", b""])
def test_qbiff_announces_it_nowhere_else(folder: Path, terminal: tuple[int, Path], user: bytes) -> None:
    line = str(terminal[1].relative_to("/dev")).encode()
    assert announce(folder, logged_in(line, user) + logged_in(line, b"joe", 8)).code == 0
    assert shown(terminal) == b""


@pytest.mark.root
@pytest.mark.parametrize("line", [b"/dev/null", b"../dev/null", b"pts/../pts/0", b""])
def test_qbiff_is_not_led_out_of_dev(folder: Path, terminal: tuple[int, Path], line: bytes) -> None:
    assert announce(folder, logged_in(line, b"joe")) == Result(0, b"", b"")


@pytest.mark.root
def test_qbiff_leaves_alone_who_wants_no_messages(folder: Path, terminal: tuple[int, Path]) -> None:
    terminal[1].chmod(0o600)
    line = str(terminal[1].relative_to("/dev")).encode()
    assert announce(folder, logged_in(line, b"joe")) == Result(0, b"", b"")
    assert shown(terminal) == b""


def test_qbiff_without_its_variables_says_nothing() -> None:
    assert run([ours("qbiff")], stdin=b"\nhi\n") == Result(0, b"", b"")
