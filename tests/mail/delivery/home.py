"""A recipient's home, qmail-local run on it, and a qmail-queue that writes down what it is given."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness import DEADLINE, Result, environment, ours

MESSAGE = b"Subject: testing\n\nThis is a test.\n"
HOST = "mail.example.com"

QUEUE = """#!/bin/sh
cat > {folder}/queued.message
cat <&1 > {folder}/queued.envelope
exit {code}
"""


@dataclass(frozen=True)
class Home:
    """`path` is the home directory; `beside` holds what the tests need and the recipient does not see."""

    path: Path
    beside: Path

    @classmethod
    def make(cls, folder: Path) -> Home:
        home = cls(folder / "home", folder)
        home.path.mkdir(mode=0o755)
        for name in ("tmp", "new", "cur"):
            (home.path / "Maildir" / name).mkdir(parents=True)
        home.queue()
        return home

    def queue(self, code: int = 0) -> None:
        """From now on qmail-queue exits with `code`."""
        program = self.beside / "queue"
        program.write_text(QUEUE.format(folder=self.beside, code=code))
        program.chmod(0o755)

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)

    def deliver(
        self,
        message: bytes = MESSAGE,
        *,
        ext: str | None = None,
        sender: str = "sender@example.org",
        options: tuple[str, ...] = ("--",),
        default: str = "./Maildir/",
        host: str = HOST,
        program: str | None = None,
    ) -> Result:
        """Run qmail-local for the user joe, or for joe-EXT."""
        dash, tail = ("", "") if ext is None else ("-", ext)
        words = ["joe", str(self.path), "joe" + dash + tail, dash, tail, host, sender, default]
        source = self.beside / "message"
        source.write_bytes(message)
        with source.open("rb") as stdin:
            done = subprocess.run(
                [program or ours("qmail-local"), *options, *words],
                stdin=stdin,
                env=environment({"QMAILQUEUE": str(self.beside / "queue"), "QMAILHOME": str(self.beside)}),
                timeout=DEADLINE,
                capture_output=True,
                check=False,
            )
        return Result(done.returncode, done.stdout, done.stderr)

    def mails(self) -> list[bytes]:
        """What is in Maildir/new."""
        return [path.read_bytes() for path in sorted((self.path / "Maildir" / "new").iterdir())]

    def left(self) -> list[str]:
        """What is in Maildir/tmp."""
        return os.listdir(self.path / "Maildir" / "tmp")

    def mbox(self) -> bytes:
        return (self.path / "mbox").read_bytes()

    def queued(self) -> tuple[bytes, list[bytes]]:
        """The message that was given to qmail-queue, and the records of its envelope."""
        message = (self.beside / "queued.message").read_bytes()
        return message, (self.beside / "queued.envelope").read_bytes().split(b"\0")
