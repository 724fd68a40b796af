"""What svscan and supervise make of directories and controls, beside the originals: the same steps, the same end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import DEADLINE, PATH, Processes, lone_account, original, ours, run, until
from tests.supervision.driver import READER, SLEEPER, Tree, until_gone, until_says, until_supervised

pytestmark = pytest.mark.oracle
Who = Callable[[str], str]
both_sides = pytest.mark.parametrize("who", [original, ours])


@pytest.fixture
def tree(folder: Path, processes: Processes) -> Tree:
    return Tree(folder, processes)


def scan(tree: Tree, processes: Processes, who: Who) -> subprocess.Popen[bytes]:
    return processes.start([who("svscan"), tree.root], env={"PATH": PATH if who is ours else "/usr/bin:/bin"})


def leave(scanner: subprocess.Popen[bytes], *services: Path) -> None:
    """The original's svscan leaves everything running: end that too."""
    scanner.send_signal(signal.SIGTERM)
    scanner.wait(DEADLINE)
    run([ours("svc"), "-dxk", *services])
    for service in services:
        until_gone(service)


@both_sides
def test_dots_files_and_links(tree: Tree, processes: Processes, who: Who) -> None:
    """A name with a dot and a file are nothing, a link to a directory is a service, two links are one."""
    tree.service(".hidden")
    (tree.root / "file").write_text(SLEEPER)
    elsewhere = tree.service("../elsewhere")
    for name in ("first", "second"):
        (tree.root / name).symlink_to(elsewhere)
    (tree.root / "broken").symlink_to("nowhere")
    last = tree.service("zz")
    scanner = scan(tree, processes, who)
    pid = tree.up("first")
    tree.up("zz")
    assert tree.up("second") == pid
    assert not (tree.root / ".hidden" / "supervise").exists()
    leave(scanner, elsewhere, last)


@both_sides
def test_a_directory_that_is_renamed_goes_on_and_keeps_its_process(tree: Tree, processes: Processes, who: Who) -> None:
    service = tree.service("a")
    scanner = scan(tree, processes, who)
    pid = tree.up("a")
    service.rename(tree.root / "b")
    assert tree.up("b") == pid
    # The next look finds the same directory under its new name, and does not start it a second time.
    marker = tree.service("marker")
    tree.up("marker")
    assert tree.up("b") == pid
    leave(scanner, tree.root / "b", marker)


@both_sides
def test_a_log_directory_that_vanishes_leaves_the_logger_and_the_service_alone(
    tree: Tree, processes: Processes, who: Who
) -> None:
    script = "#!/bin/sh\nwhile :; do read word <&3; echo $word; done\n"
    service = tree.service("a", f"#!/bin/sh\nexec 3<>fifo\n{script.partition(chr(10))[2]}", {"log/run": READER})
    os.mkfifo(service / "fifo")
    scanner = scan(tree, processes, who)
    pid, logger = tree.up("a"), tree.up("a/log")
    (service / "log").rename(service / "was")
    (service / "fifo").write_text("after\n")
    until_says(service / "was" / "kept", "after\n")
    assert (tree.up("a"), tree.up("a/was")) == (pid, logger)
    leave(scanner, service, service / "was")


def test_a_log_directory_that_appears_later_is_picked_up_by_ours(tree: Tree, processes: Processes) -> None:
    """The original looks for log only when it meets the service; ours sees it come, without a restart of anything."""
    service = tree.service("a")
    scanner = scan(tree, processes, ours)
    pid = tree.up("a")
    (service / "log").mkdir()
    (service / "log" / "run").write_text(READER)
    (service / "log" / "run").chmod(0o755)
    tree.up("a/log")
    assert tree.up("a") == pid
    leave(scanner, service, service / "log")


@both_sides
def test_controls_written_before_the_start_are_obeyed_after_it(tree: Tree, processes: Processes, who: Who) -> None:
    """Whoever holds the FIFO open meanwhile has the letters: they are the first that the supervisor reads."""
    service = tree.service("a", "#!/bin/sh\necho ran >>ran\nexec sleep 1000\n", {"down": ""})
    (service / "supervise").mkdir()
    os.mkfifo(service / "supervise" / "control", 0o600)
    control = os.open(service / "supervise" / "control", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(control, b"u")
        processes.start([who("supervise"), service])
        tree.up("a")
    finally:
        os.close(control)
    until_says(service / "ran", "ran\n")
    run([ours("svc"), "-dx", service])
    until_gone(service)


@both_sides
def test_controls_written_during_the_pause_before_a_start(tree: Tree, processes: Processes, who: Who) -> None:
    """Down in the second between two starts means that the second start does not come; up that it does."""
    service = tree.service("a", "#!/bin/sh\necho ran >>ran\n")
    processes.start([who("supervise"), service])
    until((service / "ran").exists)
    until(lambda: run([original("svstat"), service]).out.endswith(b"normally up, want up\n"))
    run([ours("svc"), "-d", service])
    until(lambda: run([original("svstat"), service]).out.endswith(b" seconds, normally up\n"))
    ran = (service / "ran").read_text()
    run([ours("svc"), "-o", service])
    until(lambda: (service / "ran").read_text() == ran + "ran\n")
    until(lambda: run([original("svstat"), service]).out.endswith(b" seconds, normally up\n"))
    assert (service / "ran").read_text() == ran + "ran\n"
    run([ours("svc"), "-dx", service])
    until_gone(service)


@both_sides
def test_several_letters_and_directories_in_one_call(tree: Tree, processes: Processes, who: Who) -> None:
    """Down, then up in one word: each ends and is started again; the order of the letters counts."""
    services = [tree.service(name) for name in "abc"]
    for service in services:
        processes.start([ours("supervise"), service])
    before = [tree.up(name) for name in "abc"]
    assert run([who("svc"), "-d", "-u", *services]).code == 0
    after = [tree.up(name, other_than=pid) for name, pid in zip("abc", before, strict=True)]
    assert not set(before) & set(after)
    assert run([who("svc"), "-ud", *services]).code == 0
    for name in "abc":
        tree.down(name)
    run([who("svc"), "-x", *services])
    for service in services:
        until_gone(service)


# Loaded before root is given up: the interpreter may stand where an account may not go.
AT_ITS_LIMIT = """
import ctypes, os, resource, sys
from svtree import multicall
from svtree.watch import engine
from svtree.supervision import hunt, service, supervisor
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
multicall.load("supervise")
sys.argv = ["supervise", sys.argv[1]]
multicall.run("supervise")
"""


@pytest.mark.root
@both_sides
def test_a_fork_that_fails_is_said_and_the_supervisor_lives(tree: Tree, processes: Processes, who: Who) -> None:
    """An account at its limit of processes. The original sleeps for a minute; ours starts it when there is room."""
    service = tree.service("a", "#!/bin/sh\nexec sleep 1000\n")
    # Nobody else's: the processes of an account are counted over the whole machine.
    uid = lone_account()
    os.chown(service, uid, uid)
    account = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    # The account may have two: this one and the supervisor.
    other = processes.start([*account, "sleep", "1000"])
    until(lambda: Path(f"/proc/{other.pid}").stat().st_uid == uid)
    argv: list[str | Path] = [ours("python3"), "-c", AT_ITS_LIMIT, service, str(uid)]
    if who is original:
        argv = ["prlimit", "--nproc=2", *account, original("supervise"), "a"]
    with tree.said.open("wb") as said:
        supervisor = processes.start(argv, cwd=service.parent, stderr=said.fileno())
    tree.hears("temporary failure\n")
    assert "unable to fork" in tree.said.read_text() or "unable to start" in tree.said.read_text()
    assert supervisor.poll() is None
    if who is ours:
        other.kill()
        other.wait()
        tree.up("a")
        run([ours("svc"), "-dx", service])
        assert supervisor.wait(DEADLINE) == 0


@both_sides
def test_a_second_supervisor_of_a_directory_gives_up_at_once(tree: Tree, processes: Processes, who: Who) -> None:
    service = tree.service("a")
    processes.start([who("supervise"), service])
    until_supervised(service)
    pid = tree.up("a")
    for second in (original, ours):
        done = run([second("supervise"), service])
        assert done.code == 111
        assert done.err == b"supervise: fatal: unable to acquire %s/supervise/lock: temporary failure\n" % bytes(
            service
        )
    assert tree.up("a") == pid
    run([ours("svc"), "-dx", service])
    until_gone(service)
