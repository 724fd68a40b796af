"""A mail system of its own in a temporary directory: makes it, runs it, puts messages in, looks what came out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from svtree.mail import accounts
from svtree.mail.queue.layout import make_queue
from tests.harness import DEADLINE, PATH, Processes, Result, environment, ours, until

HOST = "mail.example.com"
MESSAGE = b"Subject: testing\n\nThis is a test.\n"
SWITCHED = 'D=$(dirname "$QMAILHOME"); echo "$@" >> "$D/calls"; echo "did it"; exit $(cat "$D/exit")\n'
FAMILIES = ("mess", "intd", "todo", "info", "local", "remote", "bounce", "pid")


class Post:
    """QMAILHOME with a queue, control files and virtual users, and the qmail-send that works on it."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        """Only control/me is there: locals is then the same."""
        self.folder = folder
        self.home = folder / "qmail"
        self.processes = processes
        for name in ("control", "alias", "users"):
            (self.home / name).mkdir(parents=True)
        make_queue(os.fsencode(self.home))
        self.control("me", HOST)
        self.log_path = folder / "log"
        self.running: subprocess.Popen[bytes] | None = None

    # -------------------------------------------------------------------------------------------------------- making

    def control(self, name: str, text: str) -> None:
        """Write a control file."""
        (self.home / "control" / name).write_text(text + "\n")

    def user(self, name: str) -> Path:
        """Add a virtual user; returns the home."""
        account = accounts.add(os.fsencode(self.home), name.encode(), b"secret")
        return Path(os.fsdecode(account.home))

    def alias(self, name: str, text: str) -> None:
        """Write alias/.qmail-NAME."""
        (self.home / "alias" / f".qmail-{name}").write_text(text + "\n")

    def program(self, name: str, script: str) -> None:
        """Put a shell script of this name before everything on PATH."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def switched(self, code: int) -> None:
        """Let qmail-local be a script that notes its arguments in folder/calls and exits as folder/exit says."""
        (self.folder / "exit").write_text(str(code))
        calls = self.folder / "calls"
        calls.touch()
        # Deliveries run as other users when the tests run as root.
        calls.chmod(0o666)
        self.program("qmail-local", SWITCHED)

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What every program of this system is run with."""
        return {"QMAILHOME": str(self.home), "PATH": f"{self.folder}/bin:{PATH}", **(more or {})}

    # ------------------------------------------------------------------------------------------------------- running

    def start(self, default: str = "./Maildir/") -> subprocess.Popen[bytes]:
        """Start qmail-start with its log in `log_path`; returns when the queue has been looked through."""
        with self.log_path.open("ab") as log:
            before = len(self.log())
            process = self.processes.start(
                [ours("qmail-start"), default], env=self.env(), stdout=log.fileno(), stderr=log.fileno()
            )
        self.running = process
        until(lambda: self._is_up(before), what="qmail-send is up")
        return process

    def _is_up(self, before: int) -> bool:
        """Whether the log says so after its first `before` lines; fails with the log if it has ended instead."""
        lines = self.log()[before:]
        if any(line.startswith("status: local") for line in lines):
            return True
        assert self.running is not None
        if self.running.poll() is not None:
            raise RuntimeError(f"qmail-send has ended with {self.running.returncode}: {lines}")
        return False

    def stop(self) -> int:
        """TERM, and wait for the end."""
        assert self.running is not None
        self.running.terminate()
        return self.running.wait(DEADLINE)

    def signal(self, number: signal.Signals) -> None:
        """Send qmail-send, which has nothing to do, a signal; returns when it has done what that asks for."""
        assert self.running is not None
        self.running.send_signal(number)
        status = Path(f"/proc/{self.running.pid}/status")

        def served() -> bool:
            told = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            pending = int(told["SigPnd"], 16) | int(told["ShdPnd"], 16)
            # Taken, and waiting for something again (or ended by it).
            return not pending >> (number - 1) & 1 and told["State"][0] in "SZ"

        until(served, what=f"{number.name} has been served")

    def queue(
        self,
        recipients: Sequence[str],
        sender: str = f"jiro@{HOST}",
        message: bytes = MESSAGE,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run qmail-queue on a message."""
        envelope = b"F%s\0%s\0" % (sender.encode(), b"".join(b"T%s\0" % each.encode() for each in recipients))
        return self.queue_raw(message, envelope, env)

    def queue_raw(self, message: bytes, envelope: bytes, env: Mapping[str, str] | None = None) -> Result:
        """Run qmail-queue on any bytes."""
        out, into = os.pipe()
        try:
            os.write(into, envelope[:60000])
            os.close(into)
            done = subprocess.run(
                [ours("qmail-queue")],
                input=message,
                stdout=out,
                stderr=subprocess.PIPE,
                env=environment(self.env(env)),
                timeout=DEADLINE,
                check=False,
            )
            return Result(done.returncode, b"", done.stderr)
        finally:
            os.close(out)

    # ------------------------------------------------------------------------------------------------------- looking

    def log(self) -> list[str]:
        """The log's whole lines so far."""
        try:
            text = self.log_path.read_text()
        except FileNotFoundError:
            return []
        return text[: text.rfind("\n") + 1].splitlines()

    def seen(self, pattern: str, times: int = 1) -> list[str]:
        """Wait until so many lines match; returns those."""
        expression = re.compile(pattern)

        def found() -> list[str]:
            lines = [line for line in self.log() if expression.search(line)]
            return lines if len(lines) >= times else []

        return until(found, what=pattern)

    def files(self, *families: str) -> set[str]:
        """The files in the queue, relative to it."""
        queue = self.home / "queue"
        return {
            str(path.relative_to(queue))
            for family in families or FAMILIES
            for path in (queue / family).rglob("*")
            if path.is_file()
        }

    def empty(self, seconds: float = DEADLINE) -> None:
        """Wait until the queue is empty."""
        # Twice, since a message that takes another's place may come where the first look has been already.
        until(lambda: not self.files() and not self.files(), seconds, "an empty queue")

    def mail(self, name: str) -> list[bytes]:
        """The messages in a user's Maildir."""
        return [path.read_bytes() for path in sorted((self.home / "home" / name / "Maildir" / "new").iterdir())]


def normalised(lines: Iterable[str]) -> list[str]:
    """Log lines with message and delivery numbers counted from 1, and pids, uids and sizes left out."""
    messages: dict[str, str] = {}
    deliveries: dict[str, str] = {}
    found = []
    count = 0
    for line in lines:
        new = re.fullmatch(r"new msg (\d+)", line)
        if new:
            count += 1
            messages[new[1]] = f"M{count}"
        line = re.sub(r"\b(msg |bounce/)(\d+)", lambda hit: hit[1] + messages.get(hit[2], "M?"), line)  # noqa: PLW2901
        line = re.sub(  # noqa: PLW2901
            r"\bdelivery (\d+):",
            lambda hit: f"delivery {deliveries.setdefault(hit[1], f'D{len(deliveries) + 1}')}:",
            line,
        )
        line = re.sub(r"\bqp[ _]\d+", "qp P", line)  # noqa: PLW2901
        line = re.sub(r"\buid \d+", "uid U", re.sub(r"\bbytes \d+", "bytes B", line))  # noqa: PLW2901
        found.append(line)
    return found
