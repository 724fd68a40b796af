"""qmail-authority: who answers the sessions below it, with whose environment, and for how long."""

from __future__ import annotations

import os
import smtplib
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, Processes, ours, run, until
from tests.mail.queue.post import HOST, Post


def listening(post: Post, *words: str | Path, smtpd: tuple[str, ...] = ()) -> tuple[subprocess.Popen[bytes], int]:
    """A tcpserver with qmail-smtpd below a qmail-authority with these words, and its port."""
    server = (ours("tcpserver"), "-R", "-H", "-1", "-l", "0", "127.0.0.1", "0", "qmail-smtpd", *smtpd)
    with (post.home.parent / "said").open("ab") as said:
        process = post.processes.start(
            [ours("qmail-authority"), *words, *server], env=post.env(), stdout=subprocess.PIPE, stderr=said.fileno()
        )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def client_of(port: int) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", port, "client", DEADLINE)
    client.ehlo()
    return client


@pytest.fixture
def post(folder: Path, processes: Processes) -> Post:
    made = Post(folder, processes)
    made.control("esmtp", "auth")
    made.control("rcpthosts", HOST)
    return made


def answering(post: Post) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = process.info["cmdline"] or []
        home = (process.info["environ"] or {}).get("QMAILHOME")
        if ours("qmail-authority") in words and home == str(post.home):
            found.append(process)
    return found


def test_logins_are_checked_by_the_program_that_it_was_given_and_by_no_other(post: Post, folder: Path) -> None:
    for name, code in (("good", 0), ("bad", 1)):
        script = folder / name
        said = f'cat <&3 >"{folder}/asked"; echo "$TCPREMOTEIP $2" >"{folder}/told"'
        script.write_text(f"#!/bin/sh\n{said}; exit {code}\n")
        script.chmod(0o755)
    with client_of(listening(post, "-c", f"{folder}/good word", smtpd=(f"{folder}/bad", "true"))[1]) as client:
        assert client.login("jiro", "sesame")[0] == 235
    assert (folder / "asked").read_bytes() == b"jiro\0sesame\0\0"
    assert (folder / "told").read_text() == "127.0.0.1 true\n"
    refusing = client_of(listening(post, "-c", f"{folder}/bad")[1])
    with refusing, pytest.raises(smtplib.SMTPAuthenticationError):
        refusing.login("jiro", "sesame")


def test_many_sessions_are_answered_at_the_same_time_and_their_answerers_end_with_them(post: Post) -> None:
    post.user("jiro")
    post.control("rcptcheck", "1")
    server, port = listening(post)
    clients = [client_of(port) for _ in range(10)]
    for client in clients:
        client.mail("a@b.example")
        assert client.rcpt(f"nobodyhere@{HOST}")[0] == 550
    # The one that watches, the one that hears, and one for each of ten.
    until(lambda: len(answering(post)) == 12)
    for client in clients[1:]:
        assert client.rcpt(f"jiro@{HOST}")[0] == 250
        client.quit()
    until(lambda: len(answering(post)) == 3)
    server.terminate()
    server.wait(DEADLINE)
    # A session outlives tcpserver, and has its questions answered.
    assert clients[0].rcpt(f"jiro@{HOST}")[0] == 250
    clients[0].quit()
    until(lambda: not answering(post))


def test_where_nobody_answers_logins_wait_and_recipients_are_taken(post: Post, folder: Path) -> None:
    post.control("rcptcheck", "1")
    env = {**post.env(), "QMAILAUTHORITY": "77", "TCPREMOTEIP": "127.0.0.1"}
    words = b"EHLO x\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@" + HOST.encode() + b">\r\nQUIT\r\n"
    done = run([ours("qmail-smtpd")], stdin=words, env=env, cwd=folder)
    replies = [line[:3] for line in done.out.splitlines()]
    assert replies[-5:] == [b"250", b"454", b"250", b"250", b"221"]
    assert done.err.count(b"unable to ask the process that stayed root: ") >= 2


@pytest.mark.parametrize("words", [[], ["-x", "true"], ["-c"]])
def test_misuse_is_told(words: list[str]) -> None:
    done = run([ours("qmail-authority"), *words])
    assert done.code == 100
    assert b"qmail-authority: usage: " in done.err


def test_it_is_the_program_that_it_runs(folder: Path) -> None:
    done = run([ours("qmail-authority"), "sh", "-c", 'test -n "$QMAILAUTHORITY" && exit 7'], cwd=folder)
    assert (done.code, done.out, done.err) == (7, b"", b"")
    assert os.listdir(folder) == []
