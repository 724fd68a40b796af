"""svc -W: waiting for services without polling, and the letters that daemontools-encore added."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, Result, original, ours, run, until
from tests.supervision.driver import Tree, alive, until_supervised

DEAF = "#!/bin/sh\ntrap '' TERM\n: >begun\nwhile :; do sleep 0.1; done\n"
SLOW = "#!/bin/sh\nuntil test -e go; do sleep 0.02; done\necho >&3\nexec sleep 1000\n"


def svc(*arguments: str | Path) -> Result:
    return run([ours("svc"), *arguments])


def test_up_and_down_are_true_when_svc_returns(tree: Tree) -> None:
    services = [tree.service(name, files={"down": ""}) for name in ("a", "b")]
    tree.scan()
    for service in services:
        until_supervised(service)
    assert svc("-uWup", *services) == Result(0, b"", b"")
    pids = [tree.status(name).pid for name in ("a", "b")]
    assert all(pids)
    assert svc("-d", "-W", "down", *services) == Result(0, b"", b"")
    assert [tree.status(name).pid for name in ("a", "b")] == [0, 0]
    assert not any(map(alive, pids))
    # What is so already is not waited for.
    assert svc("-W", "down", "-T", "0", *services) == Result(0, b"", b"")


def test_a_restart_is_over_when_another_process_runs(tree: Tree) -> None:
    service = tree.service("a")
    tree.scan()
    first = tree.up("a")
    assert svc("-t", "-Wup", service) == Result(0, b"", b"")
    assert tree.status("a").pid not in (0, first)


def test_a_single_run_is_over_when_it_has_ended(tree: Tree) -> None:
    service = tree.service("a", "#!/bin/sh\nsleep 0.2\necho ran >>ran\n", {"down": ""})
    tree.scan()
    until_supervised(service)
    assert svc("-o", "-Wdown", service) == Result(0, b"", b"")
    assert (service / "ran").read_text() == "ran\n"


def test_ready_is_what_the_service_says_of_this_very_run(tree: Tree, processes: Processes) -> None:
    service = tree.service("a", SLOW, {"notification-fd": "3\n"})
    tree.scan()
    tree.up("a")
    for letters in ("-u", "-t"):
        (service / "go").unlink(missing_ok=True)
        waiting = processes.start([ours("svc"), letters, "-Wready", service])
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        (service / "go").touch()
        assert waiting.wait(DEADLINE) == 0
        assert tree.report("a").ready


def test_gone_is_the_end_of_supervision(tree: Tree, processes: Processes) -> None:
    service = tree.service("a")
    supervisor = processes.start([ours("supervise"), service])
    pid = tree.up("a")
    assert svc("-dxWgone", service) == Result(0, b"", b"")
    assert not alive(pid)
    assert supervisor.wait(DEADLINE) == 0
    assert svc("-Wgone", service) == Result(0, b"", b"")


def test_the_wait_has_an_end_and_says_which_service_it_was(tree: Tree) -> None:
    deaf = tree.service("deaf", DEAF)
    good = tree.service("good")
    tree.scan()
    until((deaf / "begun").exists)
    pid = tree.up("good")
    done = svc("-d", "-W", "down", "-T", "1", deaf, good)
    assert (done.code, done.out) == (111, b"")
    # A busy machine may not have ended the other one within a second either.
    assert done.err.splitlines()[0] == b"svc: warning: %s is not down after 1 seconds" % bytes(deaf)
    until(lambda: not alive(pid))
    tree.svc("k", "deaf")


def test_a_supervisor_that_dies_is_not_waited_for(tree: Tree, processes: Processes) -> None:
    service = tree.service("a", files={"down": ""})
    tree.scan()
    until_supervised(service)
    waiting = processes.start([ours("svc"), "-Wup", service])
    # It waits once it has the FIFO open.
    until(lambda: any(each.resolve() == service / "supervise" / "ok" for each in opened(waiting.pid)))
    tree.kill()
    assert waiting.wait(DEADLINE) == 111
    assert waiting.stderr is not None
    assert waiting.stderr.read() == b"svc: warning: unable to wait for %s: supervise not running\n" % bytes(service)
    assert svc("-Wup", service).err == b"svc: warning: unable to wait for %s: supervise not running\n" % bytes(service)


def opened(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.oracle
@pytest.mark.parametrize("supervisor", ["supervise", "runsv"])
def test_services_of_the_originals_are_waited_for_too(tree: Tree, processes: Processes, supervisor: str) -> None:
    service = tree.service("a")
    processes.start([original(supervisor), service.name], cwd=service.parent)
    until_supervised(service)
    assert svc("-Wup", service).code == 0
    for letters, state in (("-d", "down"), ("-u", "up"), ("-t", "up"), ("-dx", "gone")):
        assert svc(letters, "-W", state, service) == Result(0, b"", b"")


@pytest.mark.parametrize(
    "arguments", [("-Wsideways", "a"), ("-W",), ("-u", "-Tsoon", "a"), ("-T1234567", "-Wup", "a"), ("-W", "", "a")]
)
def test_what_makes_no_sense_is_said_before_anything_is_done(arguments: tuple[str, ...]) -> None:
    done = svc(*arguments)
    assert done.code == 100
    assert done.err.endswith(
        b"svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n"
    )


@pytest.mark.parametrize(("letter", "name"), [("1", "USR1"), ("2", "USR2"), ("q", "QUIT"), ("w", "WINCH")])
def test_encores_letters_are_signals(tree: Tree, letter: str, name: str) -> None:
    script = f"#!/bin/bash\ntrap 'echo {name} >caught' {name}\n: >begun\nwhile :; do sleep 0.02; done\n"
    service = tree.service("a", script)
    tree.scan()
    until((service / "begun").exists)
    tree.svc(letter, "a")
    until(lambda: (service / "caught").read_text() == f"{name}\n")
