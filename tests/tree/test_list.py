"""A mailing list in a running tree, by mail alone: on, written to, come back from, off."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import BIN, ours, run, until
from tests.tree.conftest import HOST, Tree
from tests.tree.installation import shared_bin

pytestmark = pytest.mark.slow


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
    until(lambda: quiet_tree.greeting() and quiet_tree.fine(), what="the tree is up")
    yield quiet_tree
    assert quiet_tree.down() == 0


@dataclass(frozen=True)
class Where:
    """Whose a list is: its local part, and the home that its mail is delivered in."""

    local: str
    home: str

    @property
    def address(self) -> str:
        return f"{self.local}@{HOST}"

    def to(self, extension: str) -> str:
        """LIST-EXTENSION@HOST."""
        return f"{self.local}-{extension}@{HOST}"

    def within(self, tree: Tree) -> Path:
        return tree.directory / "qmail" / self.home


OF_A_USER = Where("jiro-friends", "home/jiro")
OF_THE_HOST = Where("friends", "alias")
everywhere = pytest.mark.parametrize("where", [OF_A_USER, OF_THE_HOST], ids=["a users list", "a list of alias"])


def made(tree: Tree, where: Where) -> Path:
    words = ["friends", ".qmail-friends", where.local, HOST, f"jiro@{HOST}"]
    done = run([ours("svtree-list"), "make", *words], cwd=where.within(tree))
    assert (done.code, done.out, done.err) == (0, b"", b"")
    return where.within(tree) / ".qmail-friends"


def answered(tree: Tree, about: str, user: str, password: str) -> None:
    """Wait for the list's question to a user, and answer it."""

    def asked() -> bytes:
        mailbox = tree.mailbox(user, password)
        return next((each for each in mailbox if b"Subject: please confirm" in each and about.encode() in each), b"")

    question = until(asked, what=f"a question: {about}")
    back = re.search(rb"^From: <(.*)>$", question, re.MULTILINE)
    assert back is not None
    assert b"Auto-Submitted: auto-replied" in question
    tree.send("Subject: re\n\nyes\n", [back[1].decode()], f"{user}@{HOST}")


@everywhere
def test_one_gets_on_a_list_is_written_to_and_gets_off_by_mail(tree: Tree, where: Where) -> None:
    file = made(tree, where)
    tree.send("Subject: let me in\n\n", [where.to("subscribe")], f"saburo@{HOST}")
    assert b"&saburo" not in file.read_bytes()
    answered(tree, "be put on", "saburo", "katou")
    tree.received("Subject: you are on the list", "saburo", "katou")
    assert f"&saburo@{HOST}\n" in file.read_text()
    tree.send("List-Id: <another>\nSubject: hello friends\n\nhello\n", [where.address])
    copy = tree.received("Subject: hello friends", "saburo", "katou")
    # Of its own for each member, so that what comes back says whose copy it was.
    assert f"Return-Path: <{where.local}-owner-saburo={HOST}@{HOST}>".encode() in copy
    assert f"Delivered-To: {where.address}".encode() in copy
    assert copy.count(b"List-Id: ") == copy.count(f"\nList-Id: <{where.local}.{HOST}>\n".encode()) == 1
    assert f"\nList-Post: <mailto:{where.address}>\n".encode() in copy
    assert f"\nList-Help: <mailto:{where.to('help')}>\n".encode() in copy
    leave = re.search(rb"\nList-Unsubscribe: <mailto:(.*)>\n", copy)
    assert leave is not None
    assert leave[1].decode() == where.to("unsubscribe")
    tree.send("Subject: let me out\n\n", [leave[1].decode()], f"saburo@{HOST}")
    answered(tree, "be taken off", "saburo", "katou")
    tree.received("Subject: you are off the list", "saburo", "katou")
    assert b"\n&" not in file.read_bytes()


@everywhere
def test_a_member_whose_mail_comes_back_is_probed_and_then_taken_off(tree: Tree, where: Where) -> None:
    file = made(tree, where)
    added = [f"gone@{HOST}", f"saburo@{HOST}"]
    home = where.within(tree)
    assert run([ours("svtree-list"), "add", "friends", *added], cwd=home).code == 0
    (home / ".qmail-friends-owner-default").write_text("|svtree-list bounce 1 friends\n")
    tree.send("Subject: anybody there\n\n", [where.address])
    tree.received("Subject: anybody there", "saburo", "katou")
    until(lambda: b"&gone" not in file.read_bytes(), what="gone is off the list")
    assert f"&saburo@{HOST}\n" in file.read_text()
    # A copy of the message came back, and then the probe.
    until(lambda: tree.logs().count(f"to local gone@{HOST}") == 2)


def test_a_list_says_how_it_is_used_and_its_owner_is_reached(tree: Tree) -> None:
    made(tree, OF_THE_HOST)
    tree.send("Subject: help\n\n", [OF_THE_HOST.to("help")], f"saburo@{HOST}")
    help_text = tree.received("Subject: how to use this list", "saburo", "katou")
    assert OF_THE_HOST.to("subscribe").encode() in help_text
    tree.send("Subject: a word to the owner\n\n", [OF_THE_HOST.to("owner")], f"saburo@{HOST}")
    tree.received("Subject: a word to the owner")


def test_a_list_that_is_on_itself_sends_once(tree: Tree) -> None:
    made(tree, OF_THE_HOST)
    added = [OF_THE_HOST.address, f"saburo@{HOST}"]
    assert run([ours("svtree-list"), "add", "friends", *added], cwd=OF_THE_HOST.within(tree)).code == 0
    tree.send("Subject: round and round\n\n", [OF_THE_HOST.address])
    tree.received("Subject: round and round", "saburo", "katou")
    # The copy for itself comes back, as mail to a member who is gone would.
    until(lambda: any((OF_THE_HOST.within(tree) / "friends/bounces").iterdir()), what="the loop is a bounce")
    assert sum(b"Subject: round and round" in each for each in tree.mailbox("saburo", "katou")) == 1
