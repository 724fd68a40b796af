"""From daemontools to ours and back: a tree that one has run is gone on with by the other, logs and all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from svtree.formats import status
from tests.harness import DEADLINE, PATH, Processes, original, ours, run, until
from tests.supervision.driver import SLEEPER, alive, until_dead, until_gone, until_supervised

pytestmark = pytest.mark.oracle
# A line a start, and the number of the last line ever written in a file: nothing but the log may be lost.
COUNTER = """#!/bin/sh
number=$(cat number 2>/dev/null || echo 0)
trap 'told=1' TERM
while test -z "$told"; do
  number=$((number + 1)); echo $number; echo $number >number.new; mv number.new number
  sleep 0.05
done
"""
THEIRS = {"PATH": "/usr/bin:/bin"}
OURS = {"PATH": PATH}
Names = tuple[str, ...]


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


class Site:
    """A tree of three services, one of them with a log, one that is normally down, one reached by a link."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.root = folder / "service"
        self._processes = processes
        write(self.root / "counter" / "run", COUNTER)
        write(self.root / "counter" / "log" / "run", "#!/bin/sh\nexec multilog t s4096 n100 ./main\n")
        write(self.root / "resting" / "run", SLEEPER)
        (self.root / "resting" / "down").touch()
        write(folder / "elsewhere" / "run", SLEEPER)
        (self.root / "linked").symlink_to(folder / "elsewhere")
        self.scanner: subprocess.Popen[bytes] | None = None

    def directories(self) -> list[Path]:
        return [self.root / name for name in ("counter", "counter/log", "resting", "linked")]

    def start(self, who: Callable[[str], str]) -> None:
        """svscan of one side, its programs first on PATH."""
        self.scanner = self._processes.start([who("svscan"), self.root], env=OURS if who is ours else THEIRS)
        for directory in self.directories():
            until_supervised(directory)

    def stop(self, who: Callable[[str], str]) -> None:
        """As an administrator does it: svscan first, so that it starts no supervise anew, then the services."""
        assert self.scanner is not None
        self.scanner.send_signal(signal.SIGTERM)
        self.scanner.wait(DEADLINE)
        if who is original:
            # It leaves everything running, and its multilog ends at once when it is told to, whatever is in the pipe.
            counter, logger, *others = self.directories()
            run([original("svc"), "-dx", counter, *others])
            until_gone(counter)
            until(lambda: self.logged()[-1] == int((counter / "number").read_text()), what="the last line in the log")
            run([original("svc"), "-dx", logger])
        for directory in self.directories():
            until_gone(directory)

    def state(self, who: Callable[[str], str], name: str) -> str:
        said = run([who("svstat"), self.root / name]).out.decode().partition(": ")[2]
        return re.sub(r"\d+", "N", said).strip()

    def logged(self) -> list[int]:
        """The numbers in the log, the oldest first, whoever wrote it."""
        main = self.root / "counter" / "log" / "main"
        files = [*sorted(main.glob("@*")), main / "current"]
        lines = b"".join(file.read_bytes() for file in files).splitlines()
        assert all(re.fullmatch(rb"@4[0-9a-f]{23} \d+", line) for line in lines)
        # The original knows microseconds, and may read two lines in one.
        stamps = [line.split()[0] for line in lines]
        assert stamps == sorted(stamps), "stamps fall"
        return [int(line.split()[1]) for line in lines]


@pytest.fixture
def site(folder: Path, processes: Processes) -> Site:
    return Site(folder, processes)


@pytest.mark.parametrize("sides", [("theirs", "ours", "theirs"), ("ours", "theirs", "ours")])
def test_a_tree_goes_on_under_the_other_side_with_its_logs_states_and_down_files(
    site: Site, sides: tuple[str, ...]
) -> None:
    programs = {"theirs": original, "ours": ours}
    seen = 0
    for side in sides:
        who = programs[side]
        other = ours if who is original else original
        site.start(who)
        until(partial(_beyond, site, seen + 5), what=f"lines under {side}")
        # Each side's svstat and svok see what is there alike, whoever runs it.
        for name, words in (
            ("counter", "up (pid N) N seconds"),
            ("counter/log", "up (pid N) N seconds"),
            ("linked", "up (pid N) N seconds"),
            ("resting", "down N seconds"),
        ):
            until(partial(_both_say, site, name, words), what=f"{words} of {name}")
            assert run([other("svok"), site.root / name]).code == 0
        # Each side's svc drives the other's services.
        run([other("svc"), "-u", site.root / "resting"])
        until(lambda: site.state(ours, "resting") == "up (pid N) N seconds, normally down")
        site.stop(who)
        seen = site.logged()[-1]
        assert site.logged() == list(range(1, seen + 1))
    assert (site.root / "resting" / "down").exists()


def _both_say(site: Site, name: str, words: str) -> bool:
    return site.state(original, name) == site.state(ours, name) == words


def _beyond(site: Site, number: int) -> bool:
    return site.logged()[-1:] >= [number]


def test_the_status_that_one_left_is_what_the_other_begins_with(site: Site) -> None:
    """Neither is put off by the other's supervise/: sizes, extra files, an old pid."""
    for who, size in ((original, status.SHORT), (ours, status.SIZE), (original, status.SHORT)):
        site.start(who)
        until(lambda: site.state(ours, "linked").startswith("up"))
        pid = status.parse((site.root / "linked" / "supervise" / "status").read_bytes()).pid
        assert alive(pid)
        site.stop(who)
        until_dead(pid)
        left = (site.root / "linked" / "supervise" / "status").read_bytes()
        assert len(left) == size
        assert status.parse(left).pid == 0
        for name in ("control", "ok", "lock", "status"):
            mode = os.stat(site.root / "linked" / "supervise" / name).st_mode
            assert oct(mode & 0o777) == {"status": "0o644"}.get(name, "0o600")
