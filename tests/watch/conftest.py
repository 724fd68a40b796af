"""A watcher in a process of its own, with the newest watchdog, the oldest we support, and with none."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.formats import cdb
from svtree.formats.rules import Decision, decide
from tests.harness import DEADLINE, PATH, Processes, ours, run, until

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("driver.py")
OLDEST = "2.2.1"
WATCH = """# what the shipped smtpd looks after
tcp.smtp      tcprules tcp.smtp.cdb
tcp.smtp.cdb  restart
run           restart
env/*         restart
"""
Event = list[object]


def oldest_watchdog() -> Path:
    """A directory with watchdog 2.2.1 alone, installed once; skips the test where it cannot be had."""
    there = ROOT / "build" / f"watchdog-{OLDEST}"
    there.parent.mkdir(exist_ok=True)
    # The other workers wait for the one that installs it.
    with open(f"{there}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not there.exists():
            beside = tempfile.mkdtemp(dir=there.parent)
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", beside]
            done = subprocess.run([*command, f"watchdog=={OLDEST}"], capture_output=True, check=False)
            if done.returncode:
                shutil.rmtree(beside)
                pytest.skip(f"watchdog {OLDEST} cannot be installed: {done.stderr.decode().strip().splitlines()[-1]}")
            os.rename(beside, there)
    return there


@pytest.fixture(params=["newest", "oldest", "none"])
def watchdog(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PYTHONPATH under which the watcher finds the newest watchdog, version 2.2.1, or none at all."""
    if request.param == "newest":
        return str(ROOT)
    if request.param == "oldest":
        return f"{oldest_watchdog()}:{ROOT}"
    (tmp_path / "watchdog.py").write_text('raise ImportError("not on this system")\n')
    return f"{tmp_path}:{ROOT}"


class Watching:
    """A service directory, the process that watches it, and what that has said."""

    def __init__(self, folder: Path, processes: Processes, pythonpath: str = str(ROOT)) -> None:
        self.folder = folder
        self.service = folder / "smtpd"
        (self.service / "env").mkdir(parents=True)
        self.write("watch", WATCH)
        self.write("run", "#!/bin/sh\n")
        self.write("tcp.smtp", ":allow\n")
        self._processes = processes
        self._pythonpath = pythonpath
        self._log = folder / "events"
        self._seen = 0

    def write(self, name: str, text: str) -> None:
        """Save a file at once; a watcher that meets it half written is another matter."""
        beside = self.folder / "written"
        beside.write_text(text)
        beside.rename(self.service / name)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The watcher sees nothing of what happens within, and then all of it at once, however long it took."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def compile(self) -> None:
        """Compile the rules before the watcher is there, which then has nothing to do at its start."""
        done = run([ours("tcprules"), "tcp.smtp.cdb", "tcp.smtp.tmp", "tcp.smtp"], stdin=b":allow\n", cwd=self.service)
        assert done.code == 0

    def start(self, *arguments: str | Path, path: str = PATH, env: dict[str, str] | None = None) -> None:
        """Watch, by default the one service, and wait until it is known as it is."""
        with self._log.open("wb") as log:
            self.process = self._processes.start(
                [sys.executable, DRIVER, *(arguments or (self.service,))],
                env={"PYTHONPATH": self._pythonpath, "PATH": path, **(env or {})},
                stdout=log.fileno(),
                stderr=None,
            )
        self.await_event(["ready"])

    def stop(self) -> None:
        """End it, in order."""
        self.process.terminate()
        assert self.process.wait(DEADLINE) == 0
        self._seen = 0

    def all_events(self) -> list[Event]:
        return [json.loads(line) for line in self._log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]

    def await_event(self, event: Event) -> None:
        until(lambda: event in self.all_events()[self._seen :], what=str(event))

    def events(self) -> list[Event]:
        """What was said since the last call, when whatever was changed until now has had its effect."""
        before = self.all_events().count(["idle"])
        self.process.send_signal(signal.SIGUSR1)
        until(lambda: self.all_events().count(["idle"]) > before, what="idle")
        everything = self.all_events()
        new, self._seen = everything[self._seen :], len(everything)
        return [event for event in new if event not in (["ready"], ["idle"])]

    def acts(self) -> list[object]:
        """What was done to the service since the last call."""
        return [event[2] for event in self.events() if event[0] == "act"]

    def decision(self) -> Decision:
        """What the compiled rules say to anybody."""
        return decide(cdb.Reader((self.service / "tcp.smtp.cdb").read_bytes()).get, b"192.0.2.1")

    def until_denied(self) -> None:
        until(lambda: self.decision().deny, what="the rules deny")


@pytest.fixture
def watching(folder: Path, processes: Processes, watchdog: str) -> Iterator[Watching]:
    """A watcher that runs, with each watchdog in turn; what happened up to now is forgotten.

    Where the kernel gives hints it lives by them alone, without the sweep that would find late what a hint had missed.
    """
    made = Watching(folder, processes, watchdog)
    made.start(env={"SWEEP": "never"})
    made.events()
    yield made
    made.stop()


@pytest.fixture
def quick(folder: Path, processes: Processes) -> Iterator[Watching]:
    """A watcher that was not started yet, with the newest watchdog."""
    made = Watching(folder, processes)
    yield made
    if made.process.poll() is None:
        made.stop()
