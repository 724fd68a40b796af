"""Small programs of qmail, beside what notqmail (qsmhook: qmail 1.00) did in the same place with the same input."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import NotRequired, TypedDict

import pytest

from tests.harness import DEADLINE, environment, ours
from tests.mail.delivery.home import MESSAGE, QUEUE

RECORDED = Path(__file__).parent / "recorded.json"
# What qmail-inject, qmail-smtpd and qmail-qread were when sendmail was recorded: they show how they are called.
SHOW = """#!/bin/sh
echo "{name}"
for each; do echo "<$each>"; done
for each in QMAILUSER QMAILHOST MAILNAME NAME QMAILNAME MAILHOST PROTO RELAYCLIENT DATABYTES \\
  TCPREMOTEIP TCPREMOTEHOST TCPREMOTEINFO TCPLOCALIP TCPLOCALHOST; do
  eval "test -n \\"\\${{$each+x}}\\" && echo \\"$each=\\$$each\\""
done
cat
exit {code}
"""


class Case(TypedDict):
    """How a program was called, and what it did; Latin-1. {home} is $QMAILHOME, {work} the current directory.

    Names of files and directories below $QMAILHOME begin with "home:" or "home/", others are below the current one.
    Where ours is meant to do otherwise, `differs` says why, and what is recorded is what ours does.
    """

    differs: NotRequired[str]
    argv: list[str]
    stdin: NotRequired[str]
    env: NotRequired[dict[str, str]]
    dirs: NotRequired[list[str]]
    files: NotRequired[dict[str, str | list[str | int]]]
    queue: NotRequired[int]
    show: NotRequired[int]
    code: int
    out: str
    err: str
    after: NotRequired[dict[str, str | None]]
    message: NotRequired[str]
    envelope: NotRequired[str]


CASES: list[Case] = json.loads(RECORDED.read_text())


class Place:
    """The two directories, as they were when the case was recorded."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.folder = folder
        self.case = case
        for name in ("home/bin", "work", *(self.relative(each) for each in case.get("dirs", ()))):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if case["argv"][0] == "sendmail":
            for name in ("qmail-inject", "qmail-smtpd", "qmail-qread"):
                self.program(f"home/bin/{name}", SHOW.format(name=name, code=case.get("show", 0)))
        self.program("work/queue", QUEUE.format(folder=folder / "work", code=case.get("queue", 0)))
        for name, content in case.get("files", {}).items():
            text, when = content if isinstance(content, list) else (content, None)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(str(text).encode("latin-1"))
            if when is not None:
                os.utime(path, (int(when), int(when)))

    @staticmethod
    def relative(name: str) -> str:
        return "home/" + name[5:] if name.startswith("home:") else "work/" + name

    def program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def filled(self, text: str) -> bytes:
        """A recorded text with the names of these directories."""
        for name in ("home", "work"):
            text = text.replace("{" + name + "}", str(self.folder / name))
        return text.encode("latin-1")

    def recorded(self, data: bytes) -> str:
        """A text as it would have been recorded."""
        text = data.decode("latin-1")
        for name in ("home", "work"):
            text = text.replace(str(self.folder / name), "{" + name + "}")
        text = re.sub(r"qp [0-9]+", "qp N", text)
        text = re.sub(r"[0-9]+ \w{3} [0-9]{4} [0-9:]{8} [-+]", "DATE ", text)
        return re.sub(r"[0-9]+ seconds ago", "T seconds ago", text)

    def run(self) -> subprocess.CompletedProcess[bytes]:
        env = environment({"QMAILHOME": str(self.folder / "home"), "QMAILQUEUE": str(self.folder / "work" / "queue")})
        env["PATH"] = f"{self.folder / 'home' / 'bin'}:{env['PATH']}"
        program, *arguments = self.case["argv"]
        (self.folder / "stdin").write_bytes(self.filled(self.case.get("stdin", MESSAGE.decode())))
        with (self.folder / "stdin").open("rb") as stdin:
            return subprocess.run(
                [ours(program).encode(), *map(self.filled, arguments)],
                stdin=stdin,
                env={
                    **{name.encode(): value.encode() for name, value in env.items()},
                    **{name.encode(): self.filled(value) for name, value in self.case.get("env", {}).items()},
                },
                cwd=self.folder / "work",
                timeout=DEADLINE,
                capture_output=True,
                check=False,
            )

    def now(self, name: str) -> str | None:
        path = self.folder / self.relative(name)
        if path.is_dir():
            return f"dir {path.stat().st_mode & 0o7777:o}"
        if not path.exists():
            return None
        data = path.read_bytes()
        # A cdb is recorded as a digest.
        return f"sha256 {hashlib.sha256(data).hexdigest()}" if name.endswith("cdb") else data.decode("latin-1")

    def queued(self, part: str) -> str | None:
        path = self.folder / "work" / f"queued.{part}"
        return path.read_bytes().decode("latin-1") if path.exists() else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["argv"][0])
def test_it_does_what_the_original_did(folder: Path, case: Case) -> None:
    place = Place(folder, case)
    done = place.run()
    got = (done.returncode, place.recorded(done.stdout), place.recorded(done.stderr))
    assert got == (case["code"], case["out"], case["err"])
    assert {name: place.now(name) for name in case.get("after", {})} == case.get("after", {})
    assert (place.queued("message"), place.queued("envelope")) == (case.get("message"), case.get("envelope"))
