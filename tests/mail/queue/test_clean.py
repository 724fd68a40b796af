"""qmail-clean, by its requests and answers."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.harness import DEADLINE, environment, ours
from tests.mail.queue.post import Post


def clean(post: Post, requests: bytes) -> bytes:
    done = subprocess.run(
        [ours("qmail-clean")],
        input=requests,
        env=environment(post.env()),
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def make(post: Post, *names: str) -> None:
    for name in names:
        (post.home / "queue" / name).write_bytes(b"x")


def test_foop_removes_message_and_envelope(post: Post) -> None:
    make(post, "mess/20/457", "intd/457", "mess/21/458")
    assert clean(post, b"foop/457\0") == b"+"
    assert post.files() == {"mess/21/458"}


def test_todo_removes_the_envelope_under_both_names(post: Post) -> None:
    make(post, "mess/20/457", "intd/457", "todo/457")
    assert clean(post, b"todo/457\0") == b"+"
    assert post.files() == {"mess/20/457"}


def test_what_is_gone_already_is_removed_all_the_same(post: Post) -> None:
    assert clean(post, b"foop/457\0todo/457\0") == b"++"


def test_what_cannot_be_removed_is_said(post: Post) -> None:
    (post.home / "queue" / "intd" / "457").mkdir()
    assert clean(post, b"foop/457\0") == b"!"


@pytest.mark.parametrize(
    "request_", [b"", b"foop/", b"foop/x", b"foop/4 5", b"foop/../mess", b"mess/457", b"foop/-1", b"foop/" + b"9" * 200]
)
def test_what_is_no_request_is_not_understood_and_removes_nothing(post: Post, request_: bytes) -> None:
    make(post, "mess/20/457", "intd/457")
    assert clean(post, request_ + b"\0foop/458\0") == b"x+"
    assert post.files() == {"mess/20/457", "intd/457"}


def test_a_request_without_its_nul_is_not_served(post: Post) -> None:
    make(post, "intd/457")
    assert clean(post, b"foop/457") == b""
    assert post.files() == {"intd/457"}


def test_what_has_been_in_pid_for_36_hours_is_removed(post: Post) -> None:
    make(post, "pid/1.1.1", "pid/2.2.2")
    os.utime(post.home / "queue" / "pid" / "1.1.1", (time.time() - 129601,) * 2)
    clean(post, b"")
    assert post.files() == {"pid/2.2.2"}


def test_without_a_queue_it_does_not_run(post: Post) -> None:
    env = environment({**post.env(), "QMAILHOME": "/nonexistent"})
    assert subprocess.run([ours("qmail-clean")], env=env, input=b"", check=False, timeout=DEADLINE).returncode == 111
