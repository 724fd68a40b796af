"""What was recorded of programs that only print: qmail-inject, qmail-qstat, qmail-qread, qmail-tcpto, qmail-showctl."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.golden import exchange
from tests.harness import Processes, ours, run, until
from tests.mail.queue.post import HOST, Post

SENDER = f"anonymous@{HOST}"
# The message that was typed into each: the recordings do not show it.
TYPED = {
    "inject-n-basic": b"to: jiro\n",
    "inject-n-bad": b"To: a b <c@d>\nCc: bad@@addr\n\nx\n",
    "inject-n-env": b"subject: only\n\nno header\n",
    "inject-n-norcpt": b"no header\n",
    "inject-n-resent": b"Resent-To: r@s.t\nTo: a@b\nFrom: me@here\n\nx\n",
    "inject-norcpt": b"Subject: x\n",
}
# Whose turn it is not: so that what was recorded waits in the queue.
WAITING = {
    "qstat-qread-1": ("concurrencylocal", [f"jiro@{HOST}"]),
    "qstat-qread-2": ("concurrencyremote", ["b@remote.example", "a@remote.example"]),
}
CONTROLS = {
    "me": HOST,
    "defaultdomain": "example.com",
    "plusdomain": "com",
    "locals": f"{HOST}\nlocalhost",
    "rcpthosts": f"{HOST}\nlocalhost",
}


@pytest.fixture
def system(folder: Path, processes: Processes) -> Post:
    made = Post(folder, processes)
    for name, text in CONTROLS.items():
        made.control(name, text)
    return made


def lines(name: str) -> list[str]:
    return (exchange.DATA / f"{name}.txt").read_text().splitlines()


def constant(text: str) -> str:
    """Without dates and the numbers of messages, processes, users and bytes."""
    text = re.sub(r"\d{14}\.\d+\.qmail", "STAMP.PID.qmail", text)
    text = re.sub(r"\d+ \w{3} \d{4} \d\d:\d\d:\d\d", "DATE", text)
    text = re.sub(r"#\d+  \d+  <", "#N  SIZE  <", text)
    return re.sub(r"(?m)^((?:user|group) ids: ).*", lambda ids: ids[1] + re.sub(r"\d+", "ID", ids[0]), text)


@pytest.mark.parametrize("name", exchange.names("inject-"))
def test_what_qmail_inject_makes_of_a_message_is_as_recorded(name: str, system: Post) -> None:
    recorded = lines(name)
    command = shlex.split(recorded[0].removeprefix("# $ "))
    env = dict(word.split("=", 1) for word in recorded[1].removeprefix("# env:").split())
    done = run([ours(command[0]), *command[1:]], stdin=TYPED[name], env=system.env(env))
    wanted = "".join(line.removesuffix("$") + "\n" for line in recorded[2:])
    assert (done.code, constant(done.out.decode()), done.err) == (0, constant(wanted), b"")


@pytest.mark.parametrize("name", exchange.names("qstat-qread-"))
def test_what_is_told_of_a_queue_is_as_recorded(name: str, system: Post) -> None:
    limit, recipients = WAITING[name]
    system.control(limit, "0")
    system.start()
    assert system.queue(recipients, SENDER).code == 0
    until(lambda: system.files("info") and not system.files("todo"))
    shown = []
    for heading in [line for line in lines(name) if line.startswith("# ")]:
        done = run([ours(heading.removeprefix("# "))], env=system.env())
        assert (done.code, done.err) == (0, b"")
        shown += [heading, *done.out.decode().splitlines()]
    assert [constant(line) for line in shown] == [constant(line) for line in lines(name)]
    assert system.stop() == 0


@pytest.mark.parametrize("name", exchange.names("showctl"))
def test_what_qmail_showctl_shows_is_as_recorded(name: str, system: Post) -> None:
    done = run([ours("qmail-showctl")], env=system.env())
    wanted = "\n".join(lines(name)).replace("/var/qmail", str(system.home)) + "\n"
    assert (done.code, done.err) == (0, b"")
    assert constant(done.out.decode()) == constant(wanted)
