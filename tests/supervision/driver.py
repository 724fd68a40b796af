"""A directory of services in a test, with a real svscan over it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psutil

from svtree.formats.status import Status
from svtree.supervision import ask, report
from svtree.supervision.report import Report
from tests.harness import DEADLINE, Processes, Result, ours, run, until

SLEEPER = "#!/bin/sh\nexec sleep 1000\n"
READER = "#!/bin/sh\nexec cat >>kept\n"


class Tree:
    """`root` holds the services; what svscan says on standard error is in `said`."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.root = folder / "service"
        self.root.mkdir()
        self.said = folder / "said"
        self.said.touch()
        self._processes = processes
        self.scanner: subprocess.Popen[bytes] | None = None

    def service(self, name: str, script: str = SLEEPER, files: Mapping[str, str] | None = None) -> Path:
        """Make a service directory; each of `files` that begins with #! may be run."""
        directory = self.root / name
        directory.mkdir(parents=True)
        for path, text in {**(files or {}), "run": script}.items():
            file = directory / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            if text.startswith("#!"):
                file.chmod(0o755)
        return directory

    def scan(self, program: str = "svscan", *arguments: str | Path, env: Mapping[str, str] | None = None) -> None:
        """Start our svscan over the tree, or `program` with other arguments."""
        with self.said.open("ab") as said:
            argv = [ours(program), *(arguments or (self.root,))]
            self.scanner = self._processes.start(argv, stderr=said.fileno(), stdout=said.fileno(), env=env)

    def kill(self) -> None:
        """kill -9 of the supervisor."""
        assert self.scanner is not None
        self.scanner.kill()
        self.scanner.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Have the supervisor take everything down; its exit code."""
        assert self.scanner is not None
        self.scanner.send_signal(number)
        return self.scanner.wait(DEADLINE)

    def status(self, name: str) -> Status:
        return ask.look(bytes(self.root / name))

    def report(self, name: str) -> Report:
        return report.read(bytes(self.root / name))

    def reports(self, name: str, **wanted: object) -> Report:
        """Wait until the service's report says this of these fields."""

        def heard() -> bool:
            seen = self.report(name)
            return all(getattr(seen, field) == value for field, value in wanted.items())

        until(heard, what=f"{wanted} in the report of {name}")
        return self.report(name)

    def supervised(self, name: str) -> bool:
        return is_supervised(self.root / name)

    def up(self, name: str, *, other_than: int = 0) -> int:
        """Wait until the service is up, in another process than that one; its pid."""

        def pid() -> int:
            ask.knock(bytes(self.root / name))
            found = self.status(name).pid
            return 0 if found == other_than else found

        return until(pid, what=f"{name} is up")

    def down(self, name: str) -> None:
        """Wait until nothing of the service runs."""
        until(lambda: self.status(name).pid == 0, what=f"{name} is down")

    def svc(self, letters: str, *names: str) -> None:
        done = run([ours("svc"), f"-{letters}", *(self.root / name for name in names)])
        assert done == Result(0, b"", b"")

    def hears(self, text: str) -> None:
        """Wait until the supervisor has said this."""
        until(lambda: text in self.said.read_text(), what=f"{text!r} in {self.said}")


def is_supervised(service: Path) -> bool:
    return run([ours("svok"), service]).code == 0


def until_supervised(service: Path) -> None:
    until(partial(is_supervised, service))


def until_gone(service: Path) -> None:
    """Wait until nobody supervises it."""
    until(lambda: not is_supervised(service))


def until_dead(pid: int) -> None:
    until(lambda: not alive(pid))


def until_says(file: Path, text: str) -> None:
    """Wait until this is what the file holds."""
    until(lambda: file.read_text() == text, what=f"{text[:80]!r} in {file}")


def alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def last_word(process: psutil.Process) -> str:
    """Of its command line; nothing of one that has ended, reaped or not."""
    try:
        return (process.cmdline() or [""])[-1]
    except psutil.NoSuchProcess:
        return ""
