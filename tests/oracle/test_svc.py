"""svc, svstat and svok beside the originals, on directories of daemontools, of runit, and on none."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from svtree.formats.status import DOWN, ONCE, RUNNING, UP, Status
from tests.harness import Processes, Result, original, ours, run, until
from tests.supervision.driver import SLEEPER

pytestmark = pytest.mark.oracle
PROGRAMS = ("svc", "svstat", "svok")
SECONDS = re.compile(rb"\d+(?= seconds)")


def both_at_once(program: str, *arguments: str | Path, cwd: Path) -> Result:
    """As `both`, for what counts seconds: ours are no fewer than theirs were before, and no more than theirs after.

    time(2), which they ask, may be a tick of the kernel behind the clock, and so a second behind ours.
    """
    told = [run([each(program), *arguments], cwd=cwd) for each in (original, ours, original)]
    before, mine, after = (SECONDS.sub(b"N", each.out) for each in told)
    assert before == mine == after
    assert [(each.code, each.err) for each in told] == [(0, b"")] * 3
    for earliest, counted, latest in zip(
        *([int(number) for number in SECONDS.findall(each.out)] for each in told), strict=True
    ):
        assert earliest <= counted <= latest + 1
    return told[1]


def both(program: str, *arguments: str | Path, cwd: Path) -> Result:
    """What the original says and does, having checked that ours says and does the same."""
    theirs = run([original(program), *arguments], cwd=cwd)
    assert run([ours(program), *arguments], cwd=cwd) == theirs
    return theirs


@pytest.fixture
def service(folder: Path) -> Path:
    (folder / "a").mkdir()
    (folder / "a" / "run").write_text(SLEEPER)
    (folder / "a" / "run").chmod(0o755)
    return folder / "a"


def kept_up(service: Path, processes: Processes, supervisor: str) -> None:
    """Have that original supervise the service, and wait until it is up."""
    processes.start([original(supervisor), "a"], cwd=service.parent)
    until(lambda: b"up (pid" in run([original("svstat"), service]).out)


def gone(service: Path) -> None:
    """End the service and its supervisor."""
    run([ours("svc"), "-dx", service])
    until(lambda: run([ours("svok"), service]).code == 100)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-z",),
        ("-u",),
        ("--",),
        ("-",),
        ("-ud",),
        ("-u", "nowhere"),
        ("-u", "file"),
        ("-u", "-d", "a", "nowhere", "a"),
        ("-u", ""),
        ("-uz", "a"),
        ("a",),
        ("a/",),
        ("./a", "empty"),
        ("empty",),
        ("odd",),
        ("short",),
        ("folder",),
    ],
)
def test_messages_and_exit_codes_are_the_same_where_nothing_runs(
    folder: Path, service: Path, program: str, arguments: tuple[str, ...]
) -> None:
    (folder / "file").write_text("")
    (folder / "empty").mkdir()
    for name in ("odd", "short", "folder"):
        (folder / name / "supervise").mkdir(parents=True)
        os.mkfifo(folder / name / "supervise" / "ok")
        (folder / name / "supervise" / "control").mkdir()
    both(program, *arguments, cwd=folder)


@pytest.mark.parametrize(
    ("status", "down"),
    [
        (Status(0, 77, False, UP, False, RUNNING), False),
        (Status(0, 77, False, UP, False, RUNNING), True),
        (Status(0, 77, True, DOWN, False, RUNNING), True),
        (Status(0, 4_000_000_000, True, ONCE, True, RUNNING), False),
        (Status(0, 0, False, UP, False, 0), False),
        (Status(0, 0, True, UP, False, 0), True),
        (Status(0, 0, True, DOWN, True, 0), False),
        (Status(0, 0, False, ONCE, False, 2), True),
        # A clock that was set back: not in the future.
        (Status(10**19, 77, False, UP, False, RUNNING), False),
    ],
)
def test_every_status_is_put_into_the_same_words(service: Path, status: Status, down: bool) -> None:
    (service / "supervise").mkdir()
    os.mkfifo(service / "supervise" / "ok")
    if down:
        (service / "down").touch()
    reader = os.open(service / "supervise" / "ok", os.O_RDONLY | os.O_NONBLOCK)
    try:
        for data in (status.pack(), status.pack()[:18], status.pack() + b"more"):
            (service / "supervise" / "status").write_bytes(data)
            both_at_once("svstat", service, service, cwd=service)
        (service / "supervise" / "status").write_bytes(status.pack()[:17])
        assert both("svstat", service, cwd=service).out.endswith(b": unable to read supervise/status: bad format\n")
        (service / "supervise" / "status").unlink()
        both("svstat", service, cwd=service)
    finally:
        os.close(reader)


@pytest.mark.parametrize("supervisor", ["supervise", "runsv"])
def test_the_programs_agree_about_a_service_of_the_originals(
    service: Path, processes: Processes, supervisor: str
) -> None:
    kept_up(service, processes, supervisor)
    assert both("svok", service, cwd=service).code == 0
    both_at_once("svstat", service, cwd=service)
    gone(service)


@pytest.mark.parametrize("supervisor", ["supervise", "runsv"])
def test_ours_drives_a_service_of_the_originals(service: Path, processes: Processes, supervisor: str) -> None:
    kept_up(service, processes, supervisor)

    def says(text: bytes) -> Callable[[], bool]:
        return lambda: text in run([ours("svstat"), service]).out

    for letters, text in (("p", b", paused"), ("c", b"seconds\n"), ("d", b": down "), ("u", b": up (pid")):
        assert run([ours("svc"), f"-{letters}", service]) == Result(0, b"", b"")
        until(says(text), what=f"{text!r} after svc -{letters}")
    gone(service)


def test_the_letters_are_sent_once_each_and_in_order(service: Path) -> None:
    (service / "supervise").mkdir()
    os.mkfifo(service / "supervise" / "control")
    control = os.open(service / "supervise" / "control", os.O_RDWR | os.O_NONBLOCK)
    try:
        for program in (original("svc"), ours("svc")):
            run([program, "-dxd", "-tu", "-x", service])
            assert os.read(control, 100) == b"dxtu"
    finally:
        os.close(control)


def test_a_full_control_pipe_is_a_warning_not_a_wait(service: Path) -> None:
    (service / "supervise").mkdir()
    os.mkfifo(service / "supervise" / "control")
    control = os.open(service / "supervise" / "control", os.O_RDWR | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(control, bytes(4096))
        done = run([ours("svc"), "-u", "a"], cwd=service.parent)
    finally:
        os.close(control)
    assert done == Result(0, b"", b"svc: warning: error writing commands to a: temporary failure\n")


def test_a_supervisor_that_died_is_not_running_to_either(service: Path, processes: Processes) -> None:
    process = processes.start([original("supervise"), "a"], cwd=service.parent)
    until(lambda: b"up (pid" in run([original("svstat"), service]).out)
    child = int(run([original("svstat"), service]).out.split(b"pid ")[1].split(b")")[0])
    process.kill()
    process.wait()
    os.kill(child, signal.SIGKILL)
    for program, words in (("svstat", b"supervise not running"), ("svc", b"supervise not running"), ("svok", b"")):
        done = both(program, *(("-u",) if program == "svc" else ()), "a", cwd=service.parent)
        assert words in done.out + done.err
