"""qmail-qread and qmail-qstat on a queue that qmail-send works on, beyond what was recorded (tests/golden)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness import Processes, ours, run, until
from tests.mail.queue.post import Post

SENDER = "anonymous@mail.example.com"


@pytest.fixture
def post(folder: Path, processes: Processes) -> Post:
    return Post(folder, processes)


def seen(post: Post) -> list[str]:
    """What the two programs (and qmail-tcpto) print, as the recordings show it."""
    lines = []
    for name in ("qmail-qstat", "qmail-qread", "qmail-tcpto"):
        done = run([ours(name)], env=post.env())
        assert (done.code, done.err) == (0, b"")
        lines += [f"# {name}", *done.out.decode().splitlines()]
    return lines


def test_the_list_names_date_number_and_size_of_the_message(post: Post) -> None:
    post.control("concurrencylocal", "0")
    post.start()
    post.queue(["jiro@mail.example.com"], SENDER)
    until(lambda: post.files("info") and not post.files("todo"))
    (info,) = post.files("info")
    (message,) = post.files("mess")
    os.utime(post.home / "queue" / info, (1764000000, 1764000000))
    size = (post.home / "queue" / message).stat().st_size
    first = run([ours("qmail-qread")], env=post.env()).out.splitlines()[0].decode()
    assert first == f"24 Nov 2025 16:00:00 GMT  #{Path(info).name}  {size}  <{SENDER}> "


def test_a_message_that_waits_for_qmail_send_is_counted(post: Post) -> None:
    post.queue(["jiro@mail.example.com"], SENDER)
    assert seen(post) == [
        "# qmail-qstat",
        "messages in queue: 1",
        "messages in queue but not yet preprocessed: 1",
        "# qmail-qread",
        "# qmail-tcpto",
    ]


def test_without_a_queue_the_count_warns_and_the_list_fails(folder: Path) -> None:
    home = folder / "nowhere"
    counted = run([ours("qmail-qstat")], env={"QMAILHOME": str(home)})
    assert (counted.code, counted.out) == (
        0,
        b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n",
    )
    assert counted.err.splitlines() == [
        f"qmail-qstat: warning: unable to read {home}/queue/{part}: file does not exist".encode()
        for part in ("mess", "todo")
    ]
    listed = run([ours("qmail-qread")], env={"QMAILHOME": str(home)})
    assert (listed.code, listed.out) == (111, b"fatal: unable to chdir: file does not exist\n")
