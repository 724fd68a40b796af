"""The programs around the queue, in a tree that runs."""

from __future__ import annotations

import os

from tests.harness import Result, ours, run, until
from tests.tree.conftest import HOST, Tree


def qmail(tree: Tree, *argv: str, stdin: bytes = b"") -> Result:
    """Run a mail program for the tree's mail system."""
    return run([ours(argv[0]), *argv[1:]], stdin=stdin, env={"QMAILHOME": str(tree.directory / "qmail")})


def test_an_address_that_is_assigned_is_in_force_at_the_next_delivery(tree: Tree) -> None:
    users = tree.directory / "qmail" / "users"
    home = tree.directory / "qmail" / "home" / "jiro"
    owner = home.stat()
    (home / ".qmail-boss").write_text("./Maildir/\n")
    os.chown(home / ".qmail-boss", owner.st_uid, owner.st_gid)
    (users / "assign").write_text(f"=boss:jiro:{owner.st_uid}:{owner.st_gid}:{home}:-:boss:\n.\n")
    assert qmail(tree, "qmail-newu") == Result(0, b"", b"")
    sent = qmail(tree, "sendmail", "-f", f"saburo@{HOST}", "boss", stdin=b"Subject: to the boss\n\nhi\n")
    assert sent == Result(0, b"", b"")
    message = tree.received("to the boss")
    assert message.startswith(f"Return-Path: <saburo@{HOST}>\nDelivered-To: boss@{HOST}\n".encode())


def test_what_waits_is_listed_until_it_is_delivered(tree: Tree) -> None:
    # Nobody listens there.
    (tree.directory / "qmail" / "control" / "smtproutes").write_text(":[127.0.0.1]:1\n")
    assert qmail(tree, "mailsubj", "far away", "a@b.example", stdin=b"hi\n").code == 0
    until(lambda: b"\tremote\ta@b.example\n" in qmail(tree, "sendmail", "-bp").out)
    assert qmail(tree, "qmail-qstat").out.startswith(b"messages in queue: 1\n")
