"""`svtree init`: write a tree that an ordinary user can run."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from svtree.cli.layout import Address, LayoutError, Plan, syslog_listens, write
from svtree.cli.today import SERVICES, CertificateError, Today, certificate
from svtree.system.errors import reason

SYSTEM = os.geteuid() == 0
# Where root's services listen, and an ordinary user's.
LISTENING = {
    "smtp": ("0:25", "127.0.0.1:2525", "For smtpd."),
    "pop3": ("0:110", "127.0.0.1:1110", "For pop3d."),
    "smtps": ("0:465", "127.0.0.1:2465", "For smtps, with --tls."),
    "submission": ("0:587", "127.0.0.1:2587", "For submission, with --tls."),
    "pop3s": ("0:995", "127.0.0.1:1995", "For pop3s, with --tls."),
}
Command = TypeVar("Command", bound=Callable[..., object])


def parsed(ctx: click.Context, param: click.Parameter, value: str) -> None:
    """HOST:PORT of an option, for `listening`, or click's complaint."""
    try:
        ctx.meta[f"{__name__}.{param.name}"] = Address.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=param) from error


def listening(name: str) -> Address:
    """Where the service of the option --NAME shall listen."""
    found = click.get_current_context().meta[f"{__name__}.{name}"]
    assert isinstance(found, Address)  # noqa: S101 - `parsed` has put it there
    return found


def addresses(command: Command) -> Command:
    """Give a command the options of LISTENING."""
    for name, (system, user, text) in reversed(LISTENING.items()):
        command = click.option(
            f"--{name}",
            metavar="HOST:PORT",
            callback=parsed,
            expose_value=False,
            default=system if SYSTEM else user,
            show_default=True,
            help=text,
        )(command)
    return command


def default_host() -> str:
    """The machine's own name, as it calls itself; never a question to the DNS, which may not answer."""
    return socket.gethostname() or "localhost"


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--host", metavar="NAME", help="The host's name in mail addresses; by default the machine's own.")
@click.option(
    "--user", "users", metavar="NAME:PASSWORD", multiple=True, help="A mail account; NAME alone asks for the password."
)
@click.option(
    "--syslog", metavar="WHERE", help="As SVTREE_SYSLOG: unix:PATH, udp:HOST:PORT, tcp:..., tls:..., journald."
)
@click.option(
    "--tls",
    nargs=2,
    metavar="CERT KEY",
    type=click.Path(path_type=Path),
    help="Today's mail: logins, TLS and the services smtps, submission and pop3s, with this certificate.",
)
@addresses
def verb(
    *, directory: Path, host: str | None, users: tuple[str, ...], syslog: str | None, tls: tuple[Path, Path] | None
) -> None:
    """Write a service tree at DIRECTORY that an ordinary user can run.

    A user logs in as NAME and receives at NAME@HOST. Without --tls every byte is what qmail says. Where no syslog
    daemon listens, the tree gets a receiver of its own, and `svtree logs` shows what it wrote.
    """
    if syslog is None and syslog_listens():
        syslog = "unix:/dev/log"
    host = host or default_host()
    target = Path(os.path.abspath(directory))
    smtp, pop3 = listening("smtp"), listening("pop3")
    try:
        today = Today(certificate(*tls), {name: listening(name) for name in SERVICES}) if tls else None
        write(Plan(target, host, smtp, pop3, tuple(map(_account, users)), syslog, today))
    except (LayoutError, CertificateError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        name = os.fsdecode(error.filename) if error.filename else str(target)
        raise click.ClickException(f"unable to write {name}: {reason(error)}") from error
    click.echo(f"Wrote {target}: smtpd on {smtp}, pop3d on {pop3}, mail for {host}.")
    if today is not None:
        click.echo(", ".join(f"{name} on {address}" for name, address in today.addresses.items()) + ".")
    click.echo(f"Log: {syslog or 'a receiver of its own (service syslog)'}.")
    click.echo(f"Start it with: svtree run {directory}")


def _account(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not colon:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    return name, password
