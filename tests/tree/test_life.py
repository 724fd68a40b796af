"""Up, down, killed, taken down: what the supervisor promises about the processes of a tree."""

from __future__ import annotations

import os
import signal

from tests.harness import ours, run, until
from tests.tree.conftest import Tree


def test_run_says_what_came_up_and_where_it_listens(tree: Tree) -> None:
    text = tree.output.read_text()
    for name in ("smtpd", "pop3d", "qmail-send"):
        assert name in text
    assert f"127.0.0.1:{tree.smtp_port}" in text
    assert f"127.0.0.1:{tree.pop3_port}" in text


def test_one_process_supervises_all(tree: Tree) -> None:
    assert tree.supervisor is not None
    with open(f"/proc/{tree.supervisor.pid}/task/{tree.supervisor.pid}/children") as file:
        children = file.read().split()
    services = {str(each["pid"]) for each in tree.status()["services"]}
    loggers = {str(each["log"]["pid"]) for each in tree.status()["services"]}
    assert services | loggers <= set(children)


def test_term_takes_the_tree_down_and_leaves_no_process(tree: Tree) -> None:
    session = tree.smtp()
    assert tree.down() == 0
    session.close()
    done = run([ours("svtree"), "status", tree.directory])
    assert done.code == 1


def test_a_tree_comes_up_again_with_its_mail(tree: Tree) -> None:
    tree.send("Subject: before\r\n\r\nx\r\n")
    tree.received("before")
    assert tree.down() == 0
    tree.up()
    tree.received("before")


def test_a_killed_service_is_back_and_its_last_exit_is_in_words(tree: Tree) -> None:
    pid = tree.pid("pop3d")
    os.kill(pid, signal.SIGKILL)
    until(lambda: tree.pid("pop3d") not in (0, pid))
    # The report follows the status.
    until(lambda: tree.service("pop3d")["restarts"] == 1)
    assert "KILL" in str(tree.service("pop3d")["exit"])


def test_svc_takes_a_service_down_and_up(tree: Tree) -> None:
    assert tree.svc("-d", "smtpd").code == 0
    until(lambda: tree.pid("smtpd") == 0)
    assert not tree.fine() or tree.service("smtpd")["state"] == "down"
    assert tree.svc("-u", "smtpd").code == 0
    until(tree.fine)
    assert run([ours("svok"), tree.path("smtpd")]).code == 0
    assert b": up (pid " in run([ours("svstat"), tree.path("smtpd")]).out


def test_a_killed_supervisor_finds_its_services_again(tree: Tree) -> None:
    pids = {name: tree.pid(name) for name in ("smtpd", "pop3d", "qmail-send")}
    assert tree.supervisor is not None
    tree.supervisor.kill()
    tree.supervisor.wait()
    assert tree.greeting(), "smtpd goes on"
    tree.send("Subject: meanwhile\r\n\r\nx\r\n")
    tree.up()
    assert {name: tree.pid(name) for name in pids} == pids
    tree.received("meanwhile")
    before = tree.pid("smtpd")
    assert tree.svc("-t", "smtpd").code == 0
    until(lambda: tree.pid("smtpd") not in (0, before))
    until(tree.greeting)


def test_a_service_added_while_the_tree_runs_is_started_and_one_removed_is_shown(tree: Tree) -> None:
    new = tree.directory / "made"
    new.mkdir()
    (new / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (new / "run").chmod(0o755)
    new.rename(tree.path("made"))
    until(lambda: any(each["name"] == "made" for each in tree.status()["services"]) and tree.pid("made"))
    pid = tree.pid("made")
    # Away at once: its supervisor writes in it as long as it is there.
    tree.path("made").rename(new)
    assert run([ours("svc"), "-dx", new]).code == 0
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    until(tree.fine)


def test_a_run_script_that_cannot_run_is_named_and_the_rest_goes_on(tree: Tree) -> None:
    broken = tree.directory / "made"
    broken.mkdir()
    (broken / "run").write_text("#!/bin/sh\n")
    broken.rename(tree.path("broken"))
    until(lambda: "broken/run: access denied" in tree.output.read_text())
    assert tree.greeting()
    assert not tree.fine()
    tree.path("broken").rename(broken)
