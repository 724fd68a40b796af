"""control/LETTER: programs of a service in the place of svc's signals; beside runit's runsv where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Processes, original, ours, run, until
from tests.supervision.driver import READER, SLEEPER, Tree, alive, until_dead, until_gone, until_supervised

# Says what it was sent, and goes on.
TALKER = """#!/bin/bash
for name in TERM ALRM HUP USR1; do trap "echo $name >>caught" $name; done
: >begun
while :; do sleep 0.02; done
"""
NOTED = '#!/bin/sh\necho "${0##*/}" >>noted\n'


def words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


@pytest.fixture(params=["ours", pytest.param("runsv", marks=pytest.mark.oracle)])
def supervise(request: pytest.FixtureRequest, processes: Processes) -> Callable[[Path], None]:
    """Supervise a directory by our supervise or by runit's runsv."""

    def begin(service: Path) -> None:
        program = ours("supervise") if request.param == "ours" else original("runsv")
        processes.start([program, service.name], cwd=service.parent)
        until_supervised(service)

    return begin


def leave(service: Path) -> None:
    """End what does not listen to TERM, out of the tree, lest a svscan begins anew with it."""
    service = service.rename(service.with_name(f".{service.name}"))
    run([ours("svc"), "-dxk", service])
    until_gone(service)


def test_a_program_that_exits_0_has_done_what_the_signal_would_have(
    tree: Tree, supervise: Callable[[Path], None]
) -> None:
    service = tree.service("a", TALKER, {"control/t": NOTED, "control/a": NOTED, "control/h": "no program"})
    supervise(service)
    until((service / "begun").exists)
    tree.svc("tah1", "a")
    until(lambda: sorted(words(service / "caught")) == ["HUP", "USR1"])
    assert words(service / "noted") == ["t", "a"]
    leave(service)


def test_one_that_fails_leaves_it_to_the_signal(tree: Tree, supervise: Callable[[Path], None]) -> None:
    service = tree.service("a", TALKER, {"control/t": NOTED + "exit 1\n"})
    supervise(service)
    until((service / "begun").exists)
    tree.svc("t", "a")
    until(lambda: words(service / "caught") == ["TERM"])
    assert words(service / "noted") == ["t"]
    leave(service)


def test_down_asks_t_and_then_tells_d(tree: Tree, supervise: Callable[[Path], None]) -> None:
    """And what control/t has ended is not started again."""
    end = NOTED + "kill -9 $(cat pid)\n"
    service = tree.service("a", "#!/bin/sh\necho $$ >pid\nexec sleep 1000\n", {"control/t": end, "control/d": NOTED})
    supervise(service)
    pid = tree.up("a")
    until((service / "pid").read_text)
    tree.svc("d", "a")
    tree.down("a")
    assert not alive(pid)
    until(lambda: words(service / "noted") == ["t", "d"])
    assert run([ours("svstat"), service]).out.endswith(b" seconds, normally up\n")
    leave(service)


def test_pause_shows_even_if_a_program_has_done_it(tree: Tree, supervise: Callable[[Path], None]) -> None:
    service = tree.service("a", files={"control/p": NOTED, "control/c": NOTED})
    supervise(service)
    tree.up("a")
    tree.svc("p", "a")
    until(lambda: tree.status("a").paused)
    tree.svc("c", "a")
    until(lambda: not tree.status("a").paused)
    assert words(service / "noted") == ["p", "c"]
    leave(service)


def test_up_tells_u_first(tree: Tree, supervise: Callable[[Path], None]) -> None:
    service = tree.service("a", "#!/bin/sh\necho run >>noted\nexec sleep 1000\n", {"control/u": NOTED, "down": ""})
    supervise(service)
    tree.svc("u", "a")
    until(lambda: words(service / "noted") == ["u", "run"])
    leave(service)


def test_what_it_says_goes_to_the_logger(tree: Tree) -> None:
    service = tree.service("a", SLEEPER, {"control/h": "#!/bin/sh\necho heard\n", "log/run": READER})
    tree.scan()
    tree.up("a")
    tree.svc("h", "a")
    until(lambda: (service / "log" / "kept").read_text() == "heard\n")


def test_letters_wait_for_the_one_before(tree: Tree) -> None:
    wait = "#!/bin/sh\n: >asked\nuntil test -e go; do sleep 0.02; done\nexit 1\n"
    service = tree.service("a", TALKER, {"control/t": wait})
    tree.scan()
    until((service / "begun").exists)
    tree.svc("t", "a")
    tree.svc("h", "a")
    until((service / "asked").exists)
    other = tree.service("b")
    tree.up("b")
    assert words(service / "caught") == []
    (service / "go").touch()
    # Sent one after the other, but a shell that has not looked in between takes them by their numbers.
    until(lambda: sorted(words(service / "caught")) == ["HUP", "TERM"])
    assert tree.supervised(other.name)
    leave(service)


def test_a_tree_that_is_taken_down_waits_for_no_program_for_long(tree: Tree) -> None:
    service = tree.service("a", TALKER, {"control/t": "#!/bin/sh\necho $$ >asked\nexec sleep 1000\n"})
    tree.scan()
    until((service / "begun").exists)
    tree.svc("t", "a")
    program = int(until((service / "asked").read_text))
    pid = tree.up("a")
    assert tree.stop() == 0
    until_dead(program)
    assert not alive(pid)


def test_a_program_that_cannot_be_started_is_said_once_and_the_signal_is_sent(tree: Tree) -> None:
    service = tree.service("a", TALKER, {"control/h": "no interpreter"})
    (service / "control" / "h").chmod(0o755)
    tree.scan()
    until((service / "begun").exists)
    for count in (1, 2):
        tree.svc("h", "a")
        until(lambda: words(service / "caught") == ["HUP"] * count)  # noqa: B023 - asked at once
    assert tree.said.read_text() == "supervise: warning: unable to start a/control/h: exec format error\n"
    leave(service)
