"""tcp.smtp is edited and takes effect by itself, and nobody who connects meanwhile is refused."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.harness import DEADLINE, until
from tests.tree.conftest import Tree

DENY = "127.0.0.9:deny\n:allow\n"
ALLOW = ":allow\n"


def in_place(tree: Tree, text: str) -> None:
    tree.write("smtpd/tcp.smtp", text)


def renamed(tree: Tree, text: str) -> None:
    tree.write("smtpd/4913", text)
    tree.path("smtpd/4913").rename(tree.path("smtpd/tcp.smtp"))


def with_backup(tree: Tree, text: str) -> None:
    """As vim does: the old file becomes the backup, a new one is written, the backup goes."""
    path = tree.path("smtpd/tcp.smtp")
    path.rename(tree.path("smtpd/tcp.smtp~"))
    path.write_text(text)
    path.chmod(0o644)
    tree.path("smtpd/tcp.smtp~").unlink()


def by_symbolic_link(tree: Tree, text: str) -> None:
    """As a ConfigMap changes: the link is replaced by one to another file."""
    target = tree.directory / f"rules-{time.monotonic_ns()}"
    target.write_text(text)
    beside = tree.path("smtpd/tcp.smtp.new")
    beside.symlink_to(target)
    beside.rename(tree.path("smtpd/tcp.smtp"))


editors = pytest.mark.parametrize("edit", [in_place, renamed, with_backup, by_symbolic_link])


@editors
def test_a_saved_rule_is_in_force_at_once(tree: Tree, edit: Callable[[Tree, str], None]) -> None:
    assert tree.greeting("127.0.0.9")
    edit(tree, DENY)
    until(lambda: not tree.greeting("127.0.0.9"), what="denied")
    edit(tree, ALLOW)
    until(lambda: tree.greeting("127.0.0.9"), what="allowed again")


def test_nobody_is_refused_or_cut_while_rules_change(tree: Tree) -> None:
    session = tree.smtp()
    stop = threading.Event()
    failures: list[str] = []
    greeted = [0]

    def knock() -> None:
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", tree.smtp_port), DEADLINE) as connection:
                    if connection.recv(4) != b"220 ":
                        failures.append("closed without a greeting")
                    greeted[0] += 1
            except OSError as error:
                failures.append(str(error))

    knockers = [threading.Thread(target=knock) for _ in range(3)]
    for knocker in knockers:
        knocker.start()
    try:
        for number in range(3):
            until(lambda seen=greeted[0]: greeted[0] > seen + 6, what="somebody is greeted")  # type: ignore[misc]
            before = tree.pid("smtpd")
            tree.write("smtpd/tcp.smtp", f"127.0.0.{20 + number}:deny\n:allow\n")
            until(lambda before=before: tree.pid("smtpd") not in (0, before), what="restarted")  # type: ignore[misc]
    finally:
        stop.set()
        for knocker in knockers:
            knocker.join()
    assert failures == []
    assert session.noop()[0] == 250, "an open session goes on"
    session.quit()


def test_a_burst_of_saves_is_one_restart(tree: Tree) -> None:
    before = tree.service("smtpd")["restarts"]
    with tree.stopped():
        for number in range(30):
            tree.write("smtpd/tcp.smtp", f"127.0.0.9:deny\n127.0.0.{10 + number}:allow\n:allow\n")
    until(lambda: not tree.greeting("127.0.0.9"))
    until(lambda: tree.service("smtpd")["restarts"] == before + 1)
    renamed(tree, ALLOW)
    until(lambda: tree.greeting("127.0.0.9"))
    until(lambda: tree.service("smtpd")["restarts"] == before + 2)


def test_rules_that_do_not_compile_change_nothing_and_are_shown_until_mended(tree: Tree) -> None:
    renamed(tree, DENY)
    until(lambda: not tree.greeting("127.0.0.9"))
    # tcpserver asks the new rules before it is started again.
    until(lambda: tree.service("smtpd")["restarts"] == 1)
    pid = until(lambda: tree.fine() and tree.pid("smtpd"))
    renamed(tree, ':allow\n127.:allow,RELAYCLIENT="\n')
    complaint = until(lambda: tree.service("smtpd")["complaints"])[0]
    assert complaint.startswith("tcp.smtp:2: "), complaint
    assert not tree.fine()
    assert not tree.greeting("127.0.0.9"), "the old rules hold"
    assert tree.pid("smtpd") == pid
    until(lambda: "smtpd/tcp.smtp:2: " in tree.output.read_text())
    tree.write("smtpd/tcp.smtp", ALLOW)
    until(tree.fine)
    until(lambda: tree.greeting("127.0.0.9"))


def test_the_same_content_restarts_nothing(tree: Tree) -> None:
    path = tree.path("smtpd/tcp.smtp")
    pid = tree.pid("smtpd")
    text = path.read_text()
    with tree.stopped():
        os.utime(path)
        path.write_text(text)
        path.write_text(text + "# a comment compiles to nothing\n")
    # What comes after is seen after: when this one is in force, the others have been looked at.
    with tree.stopped():
        tree.write("pop3d/env/EXTRA", "x\n")
    until(lambda: tree.service("pop3d")["restarts"] == 1)
    assert tree.pid("smtpd") == pid
