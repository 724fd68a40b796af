"""A qmail directory from which qmail-remote sends."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness import DEADLINE, environment, ours
from tests.mail.delivery.scripted import ScriptedServer

MESSAGE = b"Subject: testing\n\nThis is a test.\n.\n..two\n"


@dataclass(frozen=True)
class Qmail:
    """A qmail directory with what qmail-remote reads."""

    path: Path

    def control(self, name: str, text: str) -> None:
        (self.path / "control" / name).write_text(text)

    def send(
        self,
        message: bytes = MESSAGE,
        *,
        host: str = "remote.example",
        sender: str = "me@here.example",
        recipients: tuple[str, ...] = ("you@remote.example",),
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run qmail-remote, which always exits 0 and says nothing on standard error; its reports."""
        source = self.path / "message"
        source.write_bytes(message)
        with source.open("rb") as stdin:
            done = subprocess.run(
                [ours("qmail-remote"), host, sender, *recipients],
                stdin=stdin,
                env=environment({"QMAILHOME": str(self.path), **(env or {})}),
                capture_output=True,
                check=False,
                timeout=DEADLINE,
            )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    def send_to(self, server: ScriptedServer, message: bytes = MESSAGE, **more: tuple[str, ...]) -> bytes:
        """Run qmail-remote with a route for all to this server."""
        self.control("smtproutes", f":[127.0.0.1]:{server.port}\n")
        return self.send(message, recipients=more.get("recipients", ("you@remote.example",)))
