"""`svtree demo`: make a tree, run it, and show with real clients that it does what it says. What `make run` runs."""

from __future__ import annotations

import os
import poplib
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from svtree.cli.layout import Address, LayoutError, Plan, syslog_listens, write
from svtree.system import atomic

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

HOST = "mail.demo.example"
USER = "demo"
PASSWORD = "demo"  # noqa: S105 - the account of a demonstration on loopback
DEADLINE = 90.0
SMTP_PORT = 2525
POP3_PORT = 1110
RULES = '127.:allow,RELAYCLIENT=""\n:allow\n'
DENY = "127.0.0.1:deny\n" + RULES
CLIENT_TIMEOUT = 20


class StepError(Exception):
    """A step of the demonstration did not show what it was to show."""


@click.command("demo")
@click.argument("directory", type=click.Path(path_type=Path), default="demo")
@click.option("--once", is_flag=True, help="End after the demonstration: exit 0, or 1 when a step failed.")
def verb(*, directory: Path, once: bool) -> int:
    """Make a tree at DIRECTORY (or take the one there), run it and show what it does."""
    demo = Demo(Path(os.path.abspath(directory)))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        demo.show()
        if not once:
            demo.tell()
            demo.wait()
    except KeyboardInterrupt:
        click.echo("")
    except StepError as error:
        click.echo(f"\n  FAILED: {error}", err=True)
        demo.failed = True
    finally:
        demo.end()
    if demo.failed:
        click.echo("svtree: the demonstration failed.", err=True)
        return 1
    if once:
        click.echo("svtree: the demonstration is complete; make run goes on until interrupted.")
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Demo:
    """One tree, the process that runs it, and the steps."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the tree's; nothing is written before `show`."""
        self.directory = directory
        self.failed = False
        self._tree: subprocess.Popen[bytes] | None = None
        self._relay: threading.Thread | None = None
        self._subject = ""
        self._smtp = Address("127.0.0.1", SMTP_PORT)
        self._pop3 = Address("127.0.0.1", POP3_PORT)

    def show(self) -> None:
        """Every step in order; StepError at the first that fails."""
        self._step(f"a tree in {self.directory}", self._make)
        self._step("the supervisor and its services come up", self._start)
        self._step(f"a message to {USER}@{HOST} goes in through smtpd", self._send)
        self._step("and comes out through pop3d", self._fetch)
        rules = self.directory / "service" / "smtpd" / "tcp.smtp"
        self._step('"127.0.0.1:deny" is written into tcp.smtp: smtpd refuses', lambda: self._edit(rules, DENY))
        self._step("and taken out again: smtpd answers", lambda: self._edit(rules, RULES))
        self._step("every line of it is in the log", self._read_log)
        self._step("svtree status finds all as it should be", self._status)

    def tell(self) -> None:
        """Say how to try it by hand."""
        rules = self.directory / "service" / "smtpd" / "tcp.smtp"
        click.echo(f"""
The tree is running. Try it from another terminal (programs in {Path(sys.argv[0]).parent}):
  smtp   {self._smtp}     e.g. swaks --server {self._smtp} --to {USER}@{HOST}
  pop3   {self._pop3}     user {USER}, password {PASSWORD} (USER and PASS; APOP needs a {{PLAIN}} secret)
  rules  {rules}: edit it, and it takes effect when you save it
  status svtree status {self.directory}
  log    svtree logs -f {self.directory}
  stop   svc -d {self.directory}/service/smtpd, and -u to start again
Interrupt (Ctrl-C) takes the tree down in order.""")

    def wait(self) -> None:
        """Until the tree ends by itself, which is a failure, or an interrupt."""
        assert self._tree is not None  # noqa: S101 - show() has started it
        code = self._tree.wait()
        raise StepError(f"svtree run ended by itself with {code}")

    def end(self) -> None:
        """Take the tree down and see that it goes."""
        tree = self._tree
        if tree is None:
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        tree.terminate()
        try:
            code = tree.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            tree.kill()
            tree.wait()
            click.echo(f"  FAILED: the tree did not end within {DEADLINE:.0f} s of TERM", err=True)
            self.failed = True
            return
        if self._relay is not None:
            self._relay.join(DEADLINE)
        if code:
            click.echo(f"  FAILED: svtree run ended with exit code {code}", err=True)
            self.failed = True
        else:
            click.echo("- the tree is down; no process is left.")

    def _step(self, what: str, action: Callable[[], str]) -> None:
        click.echo(f"- {what}")
        try:
            result = action()
        except (OSError, LayoutError, smtplib.SMTPException, poplib.error_proto) as error:
            raise StepError(f"{what}: {error}") from error
        click.echo("\n".join(f"  {line}" for line in result.splitlines()))

    def _make(self) -> str:
        services = self.directory / "service"
        if (services / "smtpd" / "env").is_dir():
            self._smtp = _address(services / "smtpd" / "env")
            self._pop3 = _address(services / "pop3d" / "env")
            # An earlier demonstration may have been interrupted between its two edits.
            atomic.write(os.fsencode(services / "smtpd" / "tcp.smtp"), RULES.encode())
            return "taken as it is there"
        self._smtp = Address("127.0.0.1", _free(SMTP_PORT))
        self._pop3 = Address("127.0.0.1", _free(POP3_PORT))
        syslog = "unix:/dev/log" if syslog_listens() else None
        write(Plan(self.directory, HOST, self._smtp, self._pop3, ((USER, PASSWORD),), syslog))
        return "written"

    def _start(self) -> str:
        self._tree = subprocess.Popen(
            _svtree("run", str(self.directory)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._relay = threading.Thread(target=_relay, args=(self._tree,), daemon=True)
        self._relay.start()
        _until(self._both_answer, f"an answer on {self._smtp} and {self._pop3}")
        return "up"

    def _both_answer(self) -> bool:
        assert self._tree is not None  # noqa: S101 - _start has just made it
        if self._tree.poll() is not None:
            raise StepError(f"svtree run ended with exit code {self._tree.returncode}")
        return all(_greeting(address) for address in (self._smtp, self._pop3))

    def _send(self) -> str:
        subject = f"demonstration {time.time_ns()}"
        self._subject = subject
        message = f"From: {USER}@{HOST}\r\nTo: {USER}@{HOST}\r\nSubject: {subject}\r\n\r\nThis is a test.\r\n"
        with smtplib.SMTP(self._smtp.ip, self._smtp.port, "localhost", timeout=CLIENT_TIMEOUT) as client:
            client.helo()
            client.mail(f"{USER}@{HOST}")
            client.rcpt(f"{USER}@{HOST}")
            code, reply = client.data(message)
        if code != 250:
            raise StepError(f"smtpd says {code} {reply.decode(errors='replace')}")
        return f"{code} {reply.decode(errors='replace')}"

    def _fetch(self) -> str:
        return _until(self._received, "the message in the mailbox")

    def _received(self) -> str:
        client = poplib.POP3(self._pop3.ip, self._pop3.port, timeout=CLIENT_TIMEOUT)
        try:
            client.user(USER)
            client.pass_(PASSWORD)
            count = client.stat()[0]
            for number in range(count, 0, -1):
                lines = client.retr(number)[1]
                if f"Subject: {self._subject}".encode() in lines:
                    client.dele(number)
                    return f"{len(lines)} lines, among them: Subject: {self._subject}"
            return ""
        finally:
            client.quit()

    def _edit(self, rules: Path, text: str) -> str:
        wanted = text == RULES
        atomic.write(os.fsencode(rules), text.encode())
        began = time.monotonic()
        _until(lambda: _greeting(self._smtp) == wanted, f"{rules} in force")
        return f"in force after {time.monotonic() - began:.2f} s"

    def _read_log(self) -> str:
        def seen() -> list[str]:
            # All of them: on a busy machine the attempts to connect alone are more than the last hundred.
            words = _svtree("logs", str(self.directory), "--lines", "1000000")
            done = subprocess.run(words, capture_output=True, check=False)
            lines = done.stdout.decode(errors="replace").splitlines()
            wanted = ("tcpserver: ok", "tcpserver: deny", "starting delivery", "success: did_1+0+0/")
            return lines if all(any(each in line for line in lines) for each in wanted) else []

        lines = _until(seen, "connections, the denial and the delivery in svtree logs")
        return "\n".join(lines[-6:])

    def _status(self) -> str:
        def fine() -> str:
            done = subprocess.run(_svtree("status", str(self.directory)), capture_output=True, check=False)
            return "" if done.returncode else done.stdout.decode(errors="replace")

        return _until(fine, "svtree status to exit 0")


def _relay(tree: subprocess.Popen[bytes]) -> None:
    """Show what the tree says, apart from what the demonstration says."""
    assert tree.stdout is not None  # noqa: S101 - started with a pipe
    with tree.stdout as lines:
        for line in lines:
            click.echo(b"    | " + line, nl=False)


def _svtree(*words: str) -> list[str]:
    return [sys.executable, "-m", "svtree", "svtree", *words]


def _until(seen: Callable[[], Value], what: str) -> Value:
    deadline = time.monotonic() + DEADLINE
    while not (value := seen()):
        if time.monotonic() > deadline:
            raise StepError(f"waited {DEADLINE:.0f} s for {what}")
        time.sleep(0.02)
    return value


def _greeting(address: Address) -> bool:
    """Whether a server there says something before it closes."""
    try:
        with socket.create_connection((address.ip, address.port), timeout=CLIENT_TIMEOUT) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def _address(environment: Path) -> Address:
    values = [(environment / name).read_text().strip() for name in ("IP", "PORT")]
    return Address(values[0], int(values[1]))


def _free(wanted: int) -> int:
    """The wanted port, or the first free one after it."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StepError(f"no free port from {wanted} on")
