from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import pytest

from tests.harness import DEADLINE, Result, environment, ours, run
from tests.mail.delivery.home import QUEUE

RECORDED = Path(__file__).parent / "recorded.json"


class Case(TypedDict):
    """What notqmail 1.09's qmail-inject -n said, and the envelope that it gave qmail-queue without -n; Latin-1."""

    message: str
    arguments: list[str]
    environment: dict[str, str]
    code: int
    output: str
    error: str
    envelope: str | None


CASES: list[Case] = json.loads(RECORDED.read_text())


def constant(text: bytes) -> bytes:
    """The output without what differs from one run to the next."""
    text = re.sub(rb"[0-9]{14}\.[0-9]+\.qmail", b"STAMP.qmail", text)
    text = re.sub(rb"[0-9]+ \w+ [0-9]{4} [0-9:]{8}", b"DATE", text)
    return re.sub(rb"joe-[0-9]{9,}\.[0-9]+", b"joe-TIME.PID", text)


@dataclass(frozen=True)
class Injector:
    """A qmail directory, and a qmail-queue that writes down what it is given."""

    path: Path

    def inject(self, message: bytes, *arguments: str | bytes, env: dict[str, str] | None = None) -> Result:
        more = {"QMAILQUEUE": str(self.path / "queue"), "QMAILHOME": str(self.path), **(env or {})}
        return run([ours("qmail-inject"), *arguments], stdin=message, env=more, cwd=self.path)

    def queue(self, code: int = 0) -> None:
        program = self.path / "queue"
        program.write_text(QUEUE.format(folder=self.path, code=code))
        program.chmod(0o755)

    def envelope(self) -> bytes:
        return (self.path / "queued.envelope").read_bytes()

    def message(self) -> bytes:
        return (self.path / "queued.message").read_bytes()


@pytest.fixture
def injector(folder: Path) -> Injector:
    control = folder / "control"
    control.mkdir()
    (control / "me").write_text("mail.example.com\n")
    (control / "defaultdomain").write_text("example.com\n")
    (control / "plusdomain").write_text("plus.example.org\n")
    (folder / "mft").write_text("# lists\nb@c.example.com \n")
    made = Injector(folder)
    made.queue()
    return made


def test_a_message_to_nobody_is_queued_with_an_envelope_of_none(injector: Injector) -> None:
    assert injector.inject(b"Subject: x\n", "-a") == Result(0, b"", b"")
    assert injector.envelope() == b"Fanonymous@mail.example.com\0\0"


@pytest.mark.parametrize("number", range(len(CASES)))
def test_every_recorded_message_comes_out_as_from_notqmail(injector: Injector, number: int) -> None:
    case = CASES[number]
    message = case["message"].encode("latin-1")
    done = injector.inject(message, "-n", *case["arguments"], env=case["environment"])
    got = (done.code, constant(done.out).decode("latin-1"), done.err.decode("latin-1").removesuffix("\n"))
    # The original leaves out the newline where the line that it complains of has none.
    assert got == (case["code"], case["output"], case["error"].removesuffix("\n"))


@pytest.mark.parametrize("number", [at for at, case in enumerate(CASES) if case["envelope"] is not None][::3])
def test_every_recorded_envelope_comes_out_as_from_notqmail(injector: Injector, number: int) -> None:
    case = CASES[number]
    done = injector.inject(case["message"].encode("latin-1"), *case["arguments"], env=case["environment"])
    assert done == Result(0, b"", b"")
    assert constant(injector.envelope()).decode("latin-1") == case["envelope"]


@pytest.mark.parametrize(
    ("arguments", "recipients"),
    [
        ((), [b"bcc@x.example", b"cc@x.example", b"to@x.example"]),
        (("arg@y",), [b"arg@y.example.com"]),
        (("-h", "arg@y"), [b"bcc@x.example", b"cc@x.example", b"to@x.example"]),
        (("-H", "arg@y"), [b"arg@y.example.com", b"bcc@x.example", b"cc@x.example", b"to@x.example"]),
        (("-a",), []),
        (("-A", "--", "-x"), [b"-x@mail.example.com"]),
    ],
)
def test_recipients_come_from_the_arguments_or_the_header(
    injector: Injector, arguments: tuple[str, ...], recipients: list[bytes]
) -> None:
    message = b"Bcc: bcc@x.example\nCc: cc@x.example\nTo: to@x.example\n\n"
    assert injector.inject(message, *arguments).code == 0
    assert injector.envelope().split(b"\0")[1:-2] == [b"T" + each for each in recipients]
    assert b"bcc" not in injector.message()


def test_a_resent_message_goes_to_those_it_is_resent_to(injector: Injector) -> None:
    message = b"To: to@x.example\nBcc: bcc@x.example\nResent-To: again@x.example\nResent-Bcc: hidden@x.example\n\n"
    assert injector.inject(message).code == 0
    assert injector.envelope().split(b"\0")[1:-2] == [b"Tagain@x.example", b"Thidden@x.example"]
    assert b"hidden" not in injector.message()
    assert b"\nTo: to@x.example\n" in injector.message()


@pytest.mark.parametrize(
    ("code", "result", "text"),
    [
        (31, 100, b"mail server permanently rejected message (#5.3.0)"),
        (53, 111, b"qq write error or disk full (#4.3.0)"),
        (54, 111, b"qq read error (#4.3.0)"),
        (111, 111, b"qq temporary problem (#4.3.0)"),
    ],
)
def test_what_the_queue_says_is_passed_on(injector: Injector, code: int, result: int, text: bytes) -> None:
    injector.queue(code)
    assert injector.inject(b"To: x\n") == Result(result, b"", b"qmail-inject: fatal: " + text + b"\n")


def test_a_queue_that_cannot_be_run_is_a_failure_for_now(injector: Injector) -> None:
    (injector.path / "queue").unlink()
    done = injector.inject(b"To: x\n")
    assert (done.code, done.err) == (111, b"qmail-inject: fatal: unable to exec qq (#4.3.0)\n")


def test_the_host_s_own_name_is_used_where_nothing_else_is_said(injector: Injector) -> None:
    (injector.path / "control" / "defaultdomain").unlink()
    (injector.path / "control" / "me").unlink()
    done = injector.inject(b"To: a, b@c\n", "-n")
    assert b"\nTo: a@defaulthost.defaultdomain, b@c.defaultdomain\n" in done.out
    assert b".qmail@idhost>\n" in done.out


def test_a_control_file_that_cannot_be_read_is_named(injector: Injector) -> None:
    (injector.path / "control" / "idhost").mkdir()
    done = injector.inject(b"To: x\n")
    path = os.fsencode(injector.path / "control" / "idhost")
    assert (done.code, done.err) == (111, b"qmail-inject: fatal: unable to read %s: is a directory\n" % path)


@pytest.mark.parametrize(
    ("argument", "error"),
    [("-fa@(b", b"unable to parse this line:\na@(b"), ("a@(b", b"unable to parse address: a@(b")],
)
def test_an_argument_that_is_no_address_is_refused(injector: Injector, argument: str, error: bytes) -> None:
    done = injector.inject(b"To: x\n", argument)
    assert (done.code, done.err) == (100, b"qmail-inject: fatal: " + error + b"\n")


def test_an_unknown_option_is_refused(injector: Injector) -> None:
    done = injector.inject(b"", "-x")
    assert done.code == 100
    assert done.err.startswith(b"qmail-inject: illegal option -- x\n")


def test_standard_input_that_cannot_be_read_is_a_failure_for_now(injector: Injector) -> None:
    with (injector.path / "mft").open("ab") as not_for_reading:
        done = subprocess.run(
            [ours("qmail-inject"), "-n"],
            stdin=not_for_reading,
            env=environment(),
            capture_output=True,
            check=False,
            timeout=DEADLINE,
        )
    assert (done.returncode, done.stderr) == (111, b"qmail-inject: fatal: read error\n")


def test_a_body_is_passed_on_as_it_is_with_an_end_of_line(injector: Injector) -> None:
    body = bytes(range(256)) * 2000 + b"From x\n.\n\r\nlast"
    assert injector.inject(b"To: x\n\n" + body).code == 0
    assert injector.message().endswith(b"\n\n" + body + b"\n")


def test_a_big_message_is_not_held_in_memory(injector: Injector) -> None:
    body = b"x" * 79 + b"\n"
    words = ["prlimit", "--data=50000000", ours("qmail-inject"), "-n"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment({"QMAILHOME": str(injector.path)})
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pid = os.fork()
        if not pid:
            try:
                process.stdin.write(b"To: x\n\n" + body * 1000)
                for _ in range(1000):
                    process.stdin.write(body * 1000)
                process.stdin.close()
            finally:
                os._exit(0)
        process.stdin.close()
        size = 0
        while block := process.stdout.read(1 << 20):
            size += len(block)
        os.waitpid(pid, 0)
    assert process.returncode == 0
    assert size > 1001 * 1000 * len(body)


def test_a_header_without_end_is_refused(injector: Injector) -> None:
    done = injector.inject(b"Subject: " + b"x" * (17 << 20))
    assert (done.code, done.err) == (100, b"qmail-inject: fatal: message header too long\n")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (b"To: a\\\nX-Forged: yes\n\n", b"\nTo: a@mail.example.com\nX-Forged: yes\n"),
        (b"To: a\\\n b\nX-Next: yes\n\n", b"\nX-Next: yes\n"),
    ],
)
def test_a_backslash_at_the_end_of_a_line_does_not_join_it_to_the_next(
    injector: Injector, message: bytes, line: bytes
) -> None:
    # notqmail writes "a\<newline>"@host here: half of it a header line of its own.
    out = injector.inject(message, "-n").out
    assert line in out
    assert all(re.match(rb"[!-9;-~]+[ \t]*:|[ \t]", each) for each in out.split(b"\n\n")[0].split(b"\n"))


def test_the_sender_s_host_may_be_an_address(injector: Injector) -> None:
    # notqmail puts it into quotes and backslashes.
    env = {"QMAILHOST": "[192.0.2.1]", "QMAILUSER": "joe"}
    assert b"\nFrom: joe@[192.0.2.1]\n" in injector.inject(b"To: x\n", "-n", env=env).out


def test_a_name_with_a_newline_does_not_begin_a_field_of_the_header(injector: Injector) -> None:
    env = {"QMAILNAME": "Joe\nX-Forged: yes", "QMAILUSER": "joe\nX-Forged: yes"}
    out = injector.inject(b"To: x\n", "-n", env=env).out
    assert b"\nX-Forged" not in out
    assert b'\nFrom: "JoeX-Forged: yes" <"joeX-Forged: yes"@mail.example.com>\n' in out
