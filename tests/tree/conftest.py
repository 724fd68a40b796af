"""A whole tree of real processes, driven from outside as its users drive it."""

from __future__ import annotations

import contextlib
import json
import os
import poplib
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.harness import DEADLINE, Processes, Result, free_port, ours, run, until

HOST = "mail.example.com"


@dataclass
class Tree:
    """A tree made by `svtree init` and, after `up`, run by `svtree run`."""

    directory: Path
    processes: Processes
    smtp_port: int
    pop3_port: int
    supervisor: subprocess.Popen[bytes] | None = field(default=None)
    output: Path = Path()

    def up(self) -> Tree:
        """Start the supervisor and wait until everything is as wanted."""
        self.output = self.directory.parent / "output"
        with self.output.open("ab") as output:
            self.supervisor = self.processes.start(
                [ours("svtree"), "run", self.directory], stdout=output.fileno(), stderr=output.fileno()
            )
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until everything is as wanted; a failure shows what the tree says of itself."""
        try:
            until(lambda: self.greeting() and self.fine(), 2 * DEADLINE, f"{self.directory} up")
        except pytest.fail.Exception:
            table = run([ours("svtree"), "status", self.directory]).out
            sys.stdout.write(f"{self.output.read_text()}\n{table.decode()}\n{self.logs()[-5000:]}")
            raise

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The supervisor sees nothing of what happens within, and then all of it at once, however long it took."""
        assert self.supervisor is not None
        self.supervisor.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.supervisor.send_signal(signal.SIGCONT)

    def down(self) -> int:
        """TERM the supervisor; its exit code."""
        assert self.supervisor is not None
        self.supervisor.send_signal(signal.SIGTERM)
        return self.supervisor.wait(DEADLINE)

    def fine(self) -> bool:
        """Whether `svtree status` has nothing to complain of."""
        return run([ours("svtree"), "status", self.directory]).code == 0

    def status(self) -> Any:
        """What `svtree status --json` says."""
        return json.loads(run([ours("svtree"), "status", self.directory, "--json"]).out)

    def service(self, name: str) -> Any:
        """One service of `status`."""
        return next(each for each in self.status()["services"] if each["name"] == name)

    def pid(self, name: str) -> int:
        """The pid of a service's process, 0 when it is down."""
        return int(self.service(name)["pid"] or 0)

    def path(self, name: str) -> Path:
        """A path below service/."""
        return self.directory / "service" / name

    def write(self, name: str, text: str) -> None:
        """Write a file below service/ in place, as `echo > file` does."""
        self.path(name).write_text(text)

    def svc(self, letters: str, *names: str) -> Result:
        """svc -LETTERS on services of the tree."""
        return run([ours("svc"), letters, *(self.path(name) for name in names)])

    def logs(self) -> str:
        """Everything `svtree logs` shows."""
        return run([ours("svtree"), "logs", self.directory, "-n", "1000000"]).out.decode()

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        """A connection to smtpd from `address`."""
        return socket.create_connection(("127.0.0.1", self.smtp_port), DEADLINE, source_address=(address, 0))

    def greeting(self, address: str = "127.0.0.1") -> bytes:
        """What smtpd says first to `address`; empty when it closes without a word."""
        try:
            with contextlib.closing(self.connect(address)) as connection:
                return connection.recv(512)
        except ConnectionResetError:
            return b""

    def smtp(self, address: str = "127.0.0.1") -> smtplib.SMTP:
        """A client of smtpd, greeted."""
        client = smtplib.SMTP("127.0.0.1", self.smtp_port, "client", DEADLINE, source_address=(address, 0))
        client.helo()
        return client

    def send(self, text: str, recipients: Sequence[str] = (f"jiro@{HOST}",), sender: str = f"jiro@{HOST}") -> str:
        """Send a message; smtpd's reply to its end."""
        with self.smtp() as client:
            assert client.mail(sender)[0] == 250
            for recipient in recipients:
                assert client.rcpt(recipient)[0] == 250
            code, reply = client.data(text)
            assert code == 250, reply
            return reply.decode()

    def mailbox(self, user: str = "jiro", password: str = "sesame") -> list[bytes]:
        """Every message in a mailbox, by POP3."""
        client = poplib.POP3("127.0.0.1", self.pop3_port, timeout=DEADLINE)
        try:
            client.user(user)
            client.pass_(password)
            return [b"\n".join(client.retr(number + 1)[1]) for number in range(client.stat()[0])]
        finally:
            client.quit()

    def received(self, text: str, user: str = "jiro", password: str = "sesame") -> bytes:
        """Wait for a message that contains `text`, and return it."""

        def found() -> bytes:
            try:
                return next((message for message in self.mailbox(user, password) if text.encode() in message), b"")
            except poplib.error_proto:
                # The server is being started again.
                return b""

        return until(found, what=f"{text!r} in {user}'s mailbox")


@pytest.fixture
def quiet_tree(folder: Path, processes: Processes) -> Tree:
    """A tree that is written but does not run."""
    tree = Tree(folder / "t", processes, free_port(), free_port())
    done = run(
        [
            ours("svtree"),
            "init",
            tree.directory,
            *("--host", HOST, "--user", "jiro:sesame", "--user", "saburo:katou"),
            *("--smtp", f"127.0.0.1:{tree.smtp_port}", "--pop3", f"127.0.0.1:{tree.pop3_port}"),
        ]
    )
    assert done.code == 0, done.err
    return tree


@pytest.fixture
def tree(quiet_tree: Tree) -> Iterator[Tree]:
    """A tree that runs."""
    quiet_tree.up()
    yield quiet_tree
    assert quiet_tree.supervisor is not None
    if quiet_tree.supervisor.poll() is None:
        assert quiet_tree.down() == 0
    left = [pid for pid in filter(str.isdecimal, os.listdir("/proc")) if _of(quiet_tree.directory, pid)]
    assert not left, f"processes left in {quiet_tree.directory}: {left}"


def _of(directory: Path, pid: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(str(directory))
    except OSError:
        return False
