"""Processes started for a change: few at a time, bounded, and always reaped by whoever started them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from svtree.system import processes
from svtree.system.loop import Loop
from svtree.watch.jobs import JOBS, KEPT, Ended, Jobs, Order, first_line
from tests.harness import PATH, until


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def jobs(loop: Loop) -> Iterator[Jobs]:
    made = Jobs(loop, {b"PATH": PATH.encode()})
    yield made
    made.close()


def order(folder: Path, script: str, limit: float = 20.0) -> Order:
    return Order(b"/bin/sh", (b"sh", b"-c", script.encode()), os.fsencode(folder), b"/dev/null", limit)


def turn_until(loop: Loop, seen: Callable[[], bool]) -> None:
    def turned() -> bool:
        loop.turn(0.02)
        return seen()

    until(turned)


def test_a_job_runs_in_its_directory_with_its_input_and_tells_how_it_ended(
    loop: Loop, jobs: Jobs, folder: Path
) -> None:
    (folder / "input").write_text("some words\n")
    ended: list[Ended] = []
    script = b"pwd; cat; echo sorry >&2; exit 3"
    jobs.start(Order(b"/bin/sh", (b"sh", b"-c", script), os.fsencode(folder), b"input", 20.0), ended.append)
    here = os.getcwd()
    turn_until(loop, lambda: len(ended) == 1)
    assert ended == [Ended(3 << 8, late=False, output=f"{folder}\nsome words\nsorry\n".encode())]
    assert os.getcwd() == here
    assert processes.known() == set()


def test_a_running_job_is_known_so_that_nobody_else_reaps_it(loop: Loop, jobs: Jobs, folder: Path) -> None:
    ended: list[Ended] = []
    jobs.start(order(folder, "echo $$ > pid.new; mv pid.new pid; while [ ! -e go ]; do sleep 0.01; done"), ended.append)
    turn_until(loop, (folder / "pid").exists)
    assert processes.known() == {int((folder / "pid").read_text())}
    (folder / "go").touch()
    turn_until(loop, lambda: len(ended) == 1)
    assert processes.known() == set()


def test_no_more_than_a_few_run_at_once_and_the_others_get_their_turn(loop: Loop, jobs: Jobs, folder: Path) -> None:
    ended: list[Ended] = []
    script = "touch run.$$; while [ ! -e go ]; do sleep 0.01; done"
    for _ in range(JOBS + 2):
        jobs.start(order(folder, script), ended.append)
    turn_until(loop, lambda: len(os.listdir(folder)) == JOBS)
    assert len(processes.known()) == JOBS
    (folder / "go").touch()
    turn_until(loop, lambda: len(ended) == JOBS + 2)
    assert len(os.listdir(folder)) == JOBS + 3


def test_a_job_that_takes_too_long_is_killed_with_all_it_has_started(loop: Loop, jobs: Jobs, folder: Path) -> None:
    ended: list[Ended] = []
    jobs.start(order(folder, "echo begun; touch begun; sleep 1000 & sleep 1000", limit=0.3), ended.append)
    # Begun in this turn; its time is over in a later one.
    loop.turn(0)
    until((folder / "begun").exists)
    turn_until(loop, lambda: len(ended) == 1)
    assert ended == [Ended(9, late=True, output=b"begun\n")]


def test_of_endless_output_the_beginning_is_kept(loop: Loop, jobs: Jobs, folder: Path) -> None:
    ended: list[Ended] = []
    jobs.start(order(folder, "yes | head -c 3000000"), ended.append)
    turn_until(loop, lambda: len(ended) == 1)
    assert ended == [Ended(0, late=False, output=b"y\n" * (KEPT // 2))]


@pytest.mark.parametrize(("path", "directory"), [(b"/no/such/program", b"/"), (b"/bin/sh", b"/no/such")])
def test_what_cannot_be_started_says_why_and_lets_the_next_one_run(
    loop: Loop, jobs: Jobs, path: bytes, directory: bytes
) -> None:
    ended: list[Ended] = []
    jobs.start(Order(path, (b"sh",), directory, b"/dev/null", 20.0), ended.append)
    jobs.start(order(Path("/"), "exit 0"), ended.append)
    here = os.getcwd()
    turn_until(loop, lambda: len(ended) == 2)
    assert ended == [Ended(None, late=False, output=b"file does not exist"), Ended(0, late=False, output=b"")]
    assert os.getcwd() == here


def test_closing_ends_what_runs_and_forgets_what_waits(loop: Loop, folder: Path) -> None:
    jobs = Jobs(loop, {b"PATH": PATH.encode()})
    ended: list[Ended] = []
    for _ in range(JOBS + 1):
        jobs.start(order(folder, "touch run.$$; sleep 1000"), ended.append)
    turn_until(loop, lambda: len(os.listdir(folder)) == JOBS)
    jobs.close()
    loop.turn(0)
    assert ended == []
    assert processes.known() == set()


def test_the_first_line_of_any_output_fits_into_a_line_of_a_log() -> None:
    assert first_line(b"caf\xc3\xa9 \x1b[31m\xff\nmore") == "café ?[31m\ufffd"
    assert len(first_line(b"x" * KEPT)) == 400
