from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from svtree.mail import accounts
from svtree.mail.queue.layout import make_queue
from tests import harness
from tests.harness import Processes

HOST = "mail.example.com"
RULES = '127.0.0.1:allow,RELAYCLIENT=""\n127.0.0.2:deny\n:allow\n'


class Post:
    """A qmail directory as it was where the exchanges were recorded, and tcpserver in front of it."""

    def __init__(self, home: Path, processes: Processes) -> None:
        self.home = home
        self._processes = processes
        (home / "control").mkdir()
        for name in ("me", "locals"):
            self.control(name, HOST)
        self.control("rcpthosts", f"{HOST}\nlocalhost")
        make_queue(bytes(home))
        self.user = accounts.add(bytes(home), b"jiro", b"sesame")
        self.log = home / "log"

    def control(self, name: str, text: str) -> None:
        (self.home / "control" / name).write_text(text + "\n")

    def serve(
        self, *program: str, env: dict[str, str] | None = None, rules: str | None = None, more: Sequence[str] = ()
    ) -> int:
        """Start tcpserver, ours, with `more` options for a program; returns the port. Its log goes to `log`."""
        options = ["-v", "-R", "-H", "-1", "-l", "0", *more]
        if rules is not None:
            cdb = self.home / "tcp.cdb"
            made = harness.run([harness.ours("tcprules"), cdb, self.home / "tcp.tmp"], stdin=rules.encode())
            assert made.code == 0, made.err
            options += ["-x", str(cdb)]
        with self.log.open("ab") as log:
            server = self._processes.start(
                [harness.ours("tcpserver"), *options, "127.0.0.1", "0", *program],
                env={"QMAILHOME": str(self.home), **(env or {})},
                stderr=log.fileno(),
                stdout=subprocess.PIPE,
            )
        assert server.stdout is not None
        return int(server.stdout.readline())

    def smtp(self, *more: str, **env: str) -> int:
        return self.serve("qmail-smtpd", env=env, rules=RULES, more=more)

    def pop3(self, **env: str) -> int:
        return self.serve("qmail-popup", HOST, "checkpassword", "qmail-pop3d", "Maildir", env=env)

    def queued(self) -> list[bytes]:
        """The messages in the queue, in the order of their numbers."""
        return [path.read_bytes() for path in sorted(self.home.glob("queue/mess/*/*"), key=lambda path: int(path.name))]


@pytest.fixture
def post(folder: Path, processes: Processes) -> Post:
    return Post(folder, processes)
