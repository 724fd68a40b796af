"""kill -9 of the supervisor, of loggers, of both: the same process, started once, no line lost, none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from svtree.formats import identity, status
from svtree.system import procfs
from tests.harness import Processes, ours, run, until
from tests.supervision.driver import SLEEPER, Tree, alive, until_dead, until_says

WRITER = f"""#!{ours("python3")}
import os, time
open("starts", "a").write(f"{{os.getpid()}}\\n")
number = 0
while True:
    number += 1
    os.write(1, b"line %d\\n" % number)
    time.sleep(0.001)
"""
MULTILOG = "#!/bin/sh\nexec multilog n1000 s1000000 ./main\n"


@pytest.fixture
def tree(folder: Path, processes: Processes) -> Tree:
    return Tree(folder, processes)


def logged(directory: Path) -> list[bytes]:
    """Every line in a multilog directory, in order."""
    files = [*sorted(directory.glob("@*")), directory / "current"]
    return b"".join(file.read_bytes() for file in files if file.exists()).splitlines()


def has_grown(directory: Path, lines: int) -> bool:
    return len(logged(directory)) > lines


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until_dead(pid)


@pytest.mark.slow
@pytest.mark.parametrize("victims", ["supervisor", "logger", "both", "any"])
def test_a_continuous_writer_notices_nothing_and_no_line_is_lost_or_doubled(tree: Tree, victims: str) -> None:
    service = tree.service("a", WRITER, {"log/run": MULTILOG})
    main = service / "log" / "main"
    tree.scan()
    pid = tree.up("a")
    chance = random.Random(victims)
    for _ in range(6):
        until(partial(has_grown, main, len(logged(main)) + chance.randrange(100)))
        victim = victims if victims != "any" else chance.choice(["supervisor", "logger", "both"])
        logger = tree.up("a/log")
        if victim in ("supervisor", "both"):
            tree.kill()
        if victim in ("logger", "both"):
            kill(logger)
        if victim in ("supervisor", "both"):
            tree.scan()
            until(lambda: tree.supervised("a"))
        assert tree.up("a") == pid
    until(partial(has_grown, main, len(logged(main))))
    assert (service / "starts").read_text() == f"{pid}\n"
    assert tree.stop() == 0
    lines = logged(main)
    assert lines == [b"line %d" % number for number in range(1, len(lines) + 1)]
    assert not alive(pid)


def test_an_adopted_service_shows_what_it_showed_before(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    first = tree.up("a")
    os.kill(first, signal.SIGKILL)
    pid = tree.up("a", other_than=first)
    before = tree.status("a")
    tree.reports("a", restarts=1)
    tree.kill()
    assert run([ours("svstat"), tree.root / "a"]).out.endswith(b": supervise not running\n")
    tree.scan()
    tree.reports("a", adopted=True)
    after = tree.status("a")
    assert (after.pid, after.want, after.phase) == (pid, status.UP, status.RUNNING)
    assert abs(after.since - before.since) < 1e9
    assert tree.report("a").restarts == 1


def test_an_adopted_service_obeys_and_is_started_again_when_it_ends(tree: Tree) -> None:
    tree.service("a", files={"finish": "#!/bin/sh\necho $1 $2 >ended\n"})
    tree.scan()
    pid = tree.up("a")
    tree.kill()
    tree.scan()
    tree.reports("a", adopted=True)
    tree.svc("t", "a")
    second = tree.up("a", other_than=pid)
    # Nobody tells us how the child of another process has ended.
    assert (tree.root / "a" / "ended").read_text() == "-1 0\n"
    assert tree.reports("a", adopted=False, restarts=1).exit is None
    assert second


@pytest.mark.parametrize(("letters", "want"), [("d", status.DOWN), ("o", status.ONCE)])
def test_what_was_wanted_of_a_service_is_wanted_by_the_next_supervisor(tree: Tree, letters: str, want: int) -> None:
    tree.service("a", "#!/bin/sh\ntrap '' TERM\n: >ready\nwhile :; do sleep 0.05; done\n")
    tree.scan()
    until((tree.root / "a" / "ready").exists)
    pid = tree.up("a")
    tree.svc(letters, "a")
    until(lambda: tree.status("a").want == want)
    tree.kill()
    tree.scan()
    tree.reports("a", adopted=True)
    assert (tree.status("a").pid, tree.status("a").want) == (pid, want)
    kill(pid)
    tree.down("a")


def test_a_service_that_ended_meanwhile_is_started_anew(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    tree.kill()
    kill(pid)
    tree.scan()
    assert tree.up("a", other_than=pid)


def test_another_process_with_the_same_pid_is_not_taken_for_the_service(tree: Tree, processes: Processes) -> None:
    service = tree.service("a")
    stranger = processes.start(["sleep", "1000"])
    seen = procfs.look(stranger.pid)
    assert seen is not None
    (service / "supervise").mkdir()
    # Started a tick earlier, or in an earlier life of the machine.
    for ticks, boot in ((seen.ticks - 1, procfs.boot_id()), (seen.ticks, b"another-boot")):
        line = identity.Identity(identity.RUN, stranger.pid, ticks, boot, b"u", b"1.1.aa").pack()
        (service / "supervise" / "lock").write_bytes(line)
        tree.scan()
        tree.up("a", other_than=stranger.pid)
        assert not tree.report("a").adopted
        assert tree.stop() == 0
        assert alive(stranger.pid)


def marked(tree: Tree, token: bytes) -> None:
    """What a supervisor leaves that was killed after a start and before it noted whom it had started."""
    at = tree.root / "a" / "supervise"
    at.mkdir(exist_ok=True)
    ticks = procfs.ticks_now()
    line = identity.Identity(identity.STARTING, 0, ticks, procfs.boot_id(), b"u", token).pack()
    (at / "lock").write_bytes(line)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_process_started_but_not_yet_noted_is_found(tree: Tree, replaced: bool) -> None:
    """By the token in its environment, or by session, directory and time where `env -` has taken that away."""
    service = tree.service("a")
    marked(tree, b"1.1.feed")
    argv = ["env", "-i", "sleep", "1000"] if replaced else ["sleep", "1000"]
    left = subprocess.Popen(
        argv, cwd=service, start_new_session=True, env={"SVTREE_START": "1.1.feed", "PATH": "/bin:/usr/bin"}
    )
    try:
        until(lambda: b"sleep" in Path(f"/proc/{left.pid}/cmdline").read_bytes().split(b"\0")[0])
        tree.scan()
        tree.reports("a", adopted=True)
        assert tree.up("a") == left.pid
        assert tree.stop() == 0
    finally:
        left.kill()
        left.wait()


def test_a_marker_without_a_process_does_not_keep_a_service_down(tree: Tree) -> None:
    tree.service("a")
    marked(tree, b"1.1.dead")
    tree.scan()
    assert tree.up("a")
    assert not tree.report("a").adopted


@pytest.mark.slow
def test_killed_at_any_moment_of_many_starts_no_service_ever_runs_twice(tree: Tree) -> None:
    """Each run notes that it lives; a second one that finds the first alive says so."""
    alive_already = 'kill -0 "$(cat alive 2>/dev/null)" 2>/dev/null'
    script = f"#!/bin/sh\nif {alive_already}; then echo twice >>twice; fi\necho $$ >alive\nexec sleep 1000\n"
    names = [f"s{number}" for number in range(12)]
    for name in names:
        tree.service(name, script)
    chance = random.Random(1)
    for _ in range(12):
        tree.scan()
        assert tree.scanner is not None
        delay = chance.random() * 0.25
        with pytest.raises(subprocess.TimeoutExpired):
            tree.scanner.wait(delay)
        tree.kill()
    tree.scan()
    for name in names:
        pid = tree.up(name)
        until_says(tree.root / name / "alive", f"{pid}\n")
        assert not (tree.root / name / "twice").exists()
    assert tree.stop() == 0


def test_finish_is_adopted_too(tree: Tree) -> None:
    finish = "#!/bin/sh\necho $$ >>finishing\nexec sleep 1000\n"
    tree.service("a", "#!/bin/sh\nexit 0\n", {"finish": finish})
    tree.scan()
    until(lambda: tree.status("a").phase == status.FINISHING)
    pid = tree.status("a").pid
    tree.kill()
    tree.scan()
    tree.reports("a", adopted=True)
    assert (tree.status("a").pid, tree.status("a").phase) == (pid, status.FINISHING)
    until_says(tree.root / "a" / "finishing", f"{pid}\n")
    tree.svc("d", "a")
    kill(pid)
    tree.down("a")


def test_supervise_alone_adopts_as_well(tree: Tree) -> None:
    service = tree.service("a", SLEEPER)
    tree.scan("supervise", service)
    pid = tree.up("a")
    tree.kill()
    tree.scan("supervise", service)
    tree.reports("a", adopted=True)
    assert tree.up("a") == pid
    assert tree.stop() == 0
    assert not alive(pid)


def test_a_paused_service_is_paused_for_the_next_supervisor_too(tree: Tree) -> None:
    tree.service("a")
    tree.scan()
    pid = tree.up("a")
    tree.svc("p", "a")
    until(lambda: tree.status("a").paused)
    tree.kill()
    tree.scan()
    tree.reports("a", adopted=True)
    assert tree.status("a").paused
    assert tree.stop() == 0
    assert not alive(pid)
