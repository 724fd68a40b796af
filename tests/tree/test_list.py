"""A mailing list in a running tree, by mail alone: on, written to, come back from, off."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import BIN, ours, run, until
from tests.tree.conftest import HOST, Tree
from tests.tree.installation import shared_bin

pytestmark = pytest.mark.slow
LIST = f"jiro-friends@{HOST}"


@pytest.fixture
def tree(quiet_tree: Tree) -> Iterator[Tree]:
    """A tree that runs, with programs that a user whose .qmail file names them may run."""
    programs = shared_bin() if os.geteuid() == 0 else BIN
    quiet_tree.output = quiet_tree.directory.parent / "output"
    with quiet_tree.output.open("wb") as output:
        quiet_tree.supervisor = quiet_tree.processes.start(
            [programs / "svtree", "run", quiet_tree.directory],
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            stdout=output.fileno(),
            stderr=output.fileno(),
        )
    until(lambda: quiet_tree.greeting() and quiet_tree.fine(), 60, "the tree is up")
    yield quiet_tree
    assert quiet_tree.down() == 0


def home(tree: Tree) -> Path:
    return tree.directory / "qmail/home/jiro"


def made(tree: Tree) -> Path:
    words = ["friends", ".qmail-friends", "jiro-friends", HOST, f"jiro@{HOST}"]
    done = run([ours("svtree-list"), "make", *words], cwd=home(tree))
    assert (done.code, done.out, done.err) == (0, b"", b"")
    return home(tree) / ".qmail-friends"


def answered(tree: Tree, user: str, password: str) -> None:
    """Wait for the list's question to a user, and answer it."""
    question = tree.received("Subject: please confirm", user, password)
    back = re.search(rb"^From: <(.*)>$", question, re.MULTILINE)
    assert back is not None
    assert b"Auto-Submitted: auto-replied" in question
    tree.send("Subject: re\n\nyes\n", [back[1].decode()], f"{user}@{HOST}")


def test_one_gets_on_a_list_is_written_to_and_gets_off_by_mail(tree: Tree) -> None:
    file = made(tree)
    tree.send("Subject: let me in\n\n", [f"jiro-friends-subscribe@{HOST}"], f"saburo@{HOST}")
    assert b"&saburo" not in file.read_bytes()
    answered(tree, "saburo", "katou")
    tree.received("Subject: you are on the list", "saburo", "katou")
    assert f"&saburo@{HOST}\n" in file.read_text()
    tree.send("Subject: hello friends\n\nhello\n", [LIST])
    copy = tree.received("Subject: hello friends", "saburo", "katou")
    # Of its own for each member, so that what comes back says whose copy it was.
    assert f"Return-Path: <jiro-friends-owner-saburo={HOST}@{HOST}>".encode() in copy
    assert f"Delivered-To: {LIST}".encode() in copy
    tree.send("Subject: let me out\n\n", [f"jiro-friends-unsubscribe@{HOST}"], f"saburo@{HOST}")

    def asked_again() -> bool:
        return sum(b"Subject: please confirm" in each for each in tree.mailbox("saburo", "katou")) == 2

    until(asked_again)
    question = [each for each in tree.mailbox("saburo", "katou") if b"\nbe taken off" in each]
    back = re.search(rb"^From: <(.*)>$", question[0], re.MULTILINE)
    assert back is not None
    tree.send("Subject: re\n\n", [back[1].decode()], f"saburo@{HOST}")
    tree.received("Subject: you are off the list", "saburo", "katou")
    assert b"\n&" not in file.read_bytes()


def test_a_member_whose_mail_comes_back_is_probed_and_then_taken_off(tree: Tree) -> None:
    file = made(tree)
    added = [f"gone@{HOST}", f"saburo@{HOST}"]
    assert run([ours("svtree-list"), "add", "friends", *added], cwd=home(tree)).code == 0
    (home(tree) / ".qmail-friends-owner-default").write_text("|svtree-list bounce 1 friends\n")
    tree.send("Subject: anybody there\n\n", [LIST])
    tree.received("Subject: anybody there", "saburo", "katou")
    until(lambda: b"&gone" not in file.read_bytes(), what="gone is off the list")
    assert f"&saburo@{HOST}\n" in file.read_text()
    # A copy of the message came back, and then the probe.
    assert tree.logs().count(f"to local gone@{HOST}") == 2
