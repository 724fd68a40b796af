"""Writing a tree: the shipped service directories with one host's names and addresses in them, and qmail's directory.

DIR/service/{smtpd,pop3d,qmail-send[,syslog][,smtps,submission,pop3s]} are copies of the templates that ship with
svtree, with other values in their env/ directories; DIR/qmail is what QMAILHOME names there: control/, queue/, users/,
home/, alias/, relay-ctrl/.
Everything is written into a directory beside DIR and renamed at the end, so that DIR is whole or not there.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from svtree.cli import today
from svtree.formats import cdb, rules
from svtree.mail import accounts
from svtree.mail.queue.layout import make_queue

SERVICES = ("smtpd", "pop3d", "qmail-send")
SYSLOG_SERVICE = "syslog"
# Control files that the services' run scripts and programs look at only when they start.
WATCHED = (("qmail-send", ("locals", "virtualdomains"), "hup"), ("smtpd", ("esmtp", "rcptcheck"), "restart"))
ALIASES = ("postmaster", "mailer-daemon", "root")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
DEV_LOG = "/dev/log"


class LayoutError(Exception):
    """The tree cannot be written; the text says what, where and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens: an IP address or "0" for all, and a port."""

    ip: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From "HOST:PORT"; ValueError where it is not one."""
        ip, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{text} is not HOST:PORT")
        return cls(ip or "0", int(port))

    def __str__(self) -> str:
        return f"{'*' if self.ip in ('0', '0.0.0.0') else self.ip}:{self.port}"  # noqa: S104 - shown, not bound


@dataclass(frozen=True, slots=True)
class Plan:
    """What `write` is asked for."""

    directory: Path
    host: str
    smtp: Address
    pop3: Address
    users: tuple[tuple[str, str], ...]
    syslog: str | None
    """SVTREE_SYSLOG's value; None: the tree gets a receiver of its own."""
    today: today.Today | None = None
    """Today's mail beside what qmail had; None: every byte is qmail's."""


def templates() -> Path:
    """The directory of the shipped services: beside this module when installed, the checkout's service/ otherwise."""
    here = Path(__file__).parent
    installed = here / "templates"
    return installed if installed.is_dir() else here.parents[1] / "service"


def syslog_listens(path: str = DEV_LOG) -> bool:
    """Whether a syslog daemon takes messages at `path`."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe:
            try:
                probe.connect(path)
            except OSError:
                continue
            return True
    return False


def write(plan: Plan) -> None:
    """Write the whole tree at plan.directory, which must not exist or be empty; LayoutError, and no trace, if not."""
    if not HOST.fullmatch(plan.host):
        raise LayoutError(f"{plan.host}: not a host name")
    target = plan.directory
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LayoutError(f"unable to write {target}: it exists and is not an empty directory")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        beside.chmod(0o755)
        _services(plan, beside / "service")
        _mail(plan, beside / "qmail")
        # rename() replaces an empty directory and fails on any other: nothing of the user's is ever overwritten.
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _services(plan: Plan, directory: Path) -> None:
    listening = {"smtpd": plan.smtp, "pop3d": plan.pop3, **(plan.today.addresses if plan.today else {})}
    logging = (*listening, "qmail-send")
    for name in logging if plan.syslog else (*logging, SYSLOG_SERVICE):
        shutil.copytree(templates() / name, directory / name)
    home = plan.directory / "qmail"
    for name, address in listening.items():
        _environment(
            directory / name / "env",
            {
                "IP": address.ip,
                "PORT": str(address.port),
                "LOCALNAME": plan.host,
                "QMAILHOME": str(home),
                "RELAY_CTRL_DIR": str(home / "relay-ctrl" / "spool"),
            },
        )
    _environment(directory / "qmail-send" / "env", {"QMAILHOME": str(home)})
    # Compiled here, so that the first connection finds rules and the first start is not at once a restart.
    for source in directory.glob("*/tcp.smtp"):
        compiled = b"".join(cdb.make(rules.records(source.read_bytes())))
        source.with_name("tcp.smtp.cdb").write_bytes(compiled)
    # Relative to the logger's own directory: a socket's path may have 107 bytes only, and DIR may be deep.
    where = plan.syslog or f"unix:../../{SYSLOG_SERVICE}/socket"
    for name in logging:
        _environment(directory / name / "log" / "env", {"SVTREE_SYSLOG": where})
    for name, files, action in WATCHED:
        with (directory / name / "watch").open("a") as watch:
            watch.writelines(f"../../qmail/control/{file}  {action}\n" for file in files)


def _environment(directory: Path, values: dict[str, str]) -> None:
    """Give those values to the variables that the template has."""
    for name, value in values.items():
        if (directory / name).exists():
            (directory / name).write_text(value + "\n")


def _mail(plan: Plan, home: Path) -> None:
    control = home / "control"
    control.mkdir(parents=True)
    domain = plan.host.partition(".")[2] or plan.host
    for name, value in (
        ("me", plan.host),
        ("locals", plan.host),
        ("rcpthosts", plan.host),
        ("defaultdomain", domain),
        ("plusdomain", domain.partition(".")[2] or domain),
    ):
        (control / name).write_text(value + "\n")
    if plan.today is not None:
        today.write_certificate(control, plan.today.certificate)
        today.write_controls(control)
    make_queue(os.fsencode(home))
    _aliases(plan, home / "alias")
    grants = home / "relay-ctrl"
    grants.mkdir(mode=0o700)
    (grants / "spool").mkdir()
    (grants / "spool").chmod(0o777)
    for name, password in plan.users:
        try:
            accounts.add(os.fsencode(home), os.fsencode(name), os.fsencode(password))
        except (ValueError, accounts.AccountError) as error:
            raise LayoutError(str(error)) from error


def _aliases(plan: Plan, alias: Path) -> None:
    alias.mkdir()
    # Postmaster's mail goes to the first user, so that somebody reads it; without users, to alias/Maildir.
    line = f"&{plan.users[0][0]}@{plan.host}" if plan.users else "./Maildir/"
    for name in ALIASES:
        (alias / f".qmail-{name}").write_text(line + "\n")
    accounts.make_maildir(os.fsencode(alias / "Maildir"))
    # Whoever delivers there, and keeps lists there: never root.
    owner = accounts.keeper(os.fsencode(alias.parent))
    if owner is not None:
        for path in (alias, *alias.rglob("*")):
            os.chown(path, *owner)
