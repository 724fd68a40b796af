"""`svtree init`: write a tree that an ordinary user can run."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from svtree.cli.layout import Address, LayoutError, Plan, syslog_listens, write
from svtree.system.errors import reason

SYSTEM = os.geteuid() == 0
SMTP = "0:25" if SYSTEM else "127.0.0.1:2525"
POP3 = "0:110" if SYSTEM else "127.0.0.1:1110"


def parsed(ctx: click.Context, param: click.Parameter, value: str) -> Address:
    """HOST:PORT of an option, or click's complaint."""
    try:
        return Address.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=param) from error


def default_host() -> str:
    """The machine's own name, as it calls itself; never a question to the DNS, which may not answer."""
    return socket.gethostname() or "localhost"


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--host", metavar="NAME", help="The host's name in mail addresses; by default the machine's own.")
@click.option("--smtp", metavar="HOST:PORT", callback=parsed, default=SMTP, show_default=True, help="For smtpd.")
@click.option("--pop3", metavar="HOST:PORT", callback=parsed, default=POP3, show_default=True, help="For pop3d.")
@click.option(
    "--user", "users", metavar="NAME:PASSWORD", multiple=True, help="A mail account; NAME alone asks for the password."
)
@click.option(
    "--syslog", metavar="WHERE", help="As SVTREE_SYSLOG: unix:PATH, udp:HOST:PORT, tcp:..., tls:..., journald."
)
def verb(
    *, directory: Path, host: str | None, smtp: Address, pop3: Address, users: tuple[str, ...], syslog: str | None
) -> None:
    """Write a service tree at DIRECTORY that an ordinary user can run.

    A user logs in as NAME and receives at NAME@HOST. Where no syslog daemon listens, the tree gets a receiver of its
    own, and `svtree logs` shows what it wrote.
    """
    if syslog is None and syslog_listens():
        syslog = "unix:/dev/log"
    target = Path(os.path.abspath(directory))
    plan = Plan(target, host or default_host(), smtp, pop3, tuple(map(_account, users)), syslog)
    try:
        write(plan)
    except LayoutError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        name = os.fsdecode(error.filename) if error.filename else str(target)
        raise click.ClickException(f"unable to write {name}: {reason(error)}") from error
    click.echo(f"Wrote {target}: smtpd on {smtp}, pop3d on {pop3}, mail for {plan.host}.")
    click.echo(f"Log: {syslog or 'a receiver of its own (service syslog)'}.")
    click.echo(f"Start it with: svtree run {directory}")


def _account(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not colon:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    return name, password
