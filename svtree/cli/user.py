"""`svtree user`: the mail accounts of a tree, those in its file of virtual users."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from svtree.mail import accounts, passwords, roster
from svtree.mail.accounts import AccountError
from svtree.mail.controls import ControlError, Controls
from svtree.system.streams import read_all

# More than any password.
LONGEST = 4096

directory_argument = click.argument("directory", type=click.Path(path_type=Path))
name_argument = click.argument("name", metavar="NAME[@DOMAIN]")
from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
plain = click.option("--plain", is_flag=True, help="Store the password itself: APOP and CRAM-MD5 can work.")


@click.group("user")
def verb() -> None:
    """Add, change, list and remove the mail accounts of the tree at DIRECTORY.

    A user logs in as NAME and receives at NAME@HOST; one of a domain of its own, NAME@DOMAIN, logs in by that address.
    Passwords are asked for, or read from standard input, never taken as arguments, which every user of the machine
    can see.
    """


@verb.command("add")
@directory_argument
@name_argument
@from_stdin
@plain
def add(*, directory: Path, name: str, password_stdin: bool, plain: bool) -> None:
    """Make an account with its Maildir."""
    home = _home(directory)
    with_domain = _domain(home, name)
    user = _user(home, name, with_domain)
    try:
        if any(each.name == user for each in roster.users(home)):
            raise AccountError(f"{name}: there is such a user already")
        password = _password(name, from_stdin=password_stdin)
        roster.check(password, known=plain)
        made = accounts.add(home, user, password)
        if plain:
            roster.change(home, user, password, known=True)
        if with_domain and roster.make_domain(home, with_domain):
            click.echo(f"Mail for {os.fsdecode(with_domain)} is taken from now on (rcpthosts, virtualdomains).")
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Made {name}: mail in {os.fsdecode(made.home)}/Maildir.")


@verb.command("passwd")
@directory_argument
@name_argument
@from_stdin
@plain
def passwd(*, directory: Path, name: str, password_stdin: bool, plain: bool) -> None:
    """Give an account another password."""
    home = _home(directory)
    user = _user(home, name, _domain(home, name))
    try:
        if not any(each.name == user for each in roster.users(home)):
            raise AccountError(f"{name}: there is no such user")
        roster.change(home, user, _password(name, from_stdin=password_stdin), known=plain)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Changed the password of {name}.")


@verb.command("list")
@directory_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
def show(*, directory: Path, as_json: bool) -> None:
    """List the accounts: name, kind of secret, home."""
    home = _home(directory)
    try:
        found = roster.users(home)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    rows = [
        {"name": each.name.decode(), "secret": _kind(each.secret), "home": os.fsdecode(os.path.join(home, each.home))}
        for each in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['secret']:<6}  {row['home']}")


@verb.command("remove")
@directory_argument
@name_argument
def remove(*, directory: Path, name: str) -> None:
    """Remove an account; its mail stays where it is, and what comes for it from now on is refused or bounced."""
    home = _home(directory)
    user = _user(home, name, _domain(home, name))
    try:
        place = next((each.home for each in roster.users(home) if each.name == user), b"")
        roster.remove(home, user)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Removed {name}. The mail is still in {os.fsdecode(os.path.join(home, place))}.")


def _home(directory: Path) -> bytes:
    """The qmail directory of a tree, or the one that DIRECTORY is itself."""
    for each in (directory / "qmail", directory):
        if (each / "control").is_dir():
            return os.fsencode(os.path.abspath(each))
    raise click.ClickException(f"{directory}: neither a tree nor a qmail directory: it has no qmail/control")


def _domain(home: bytes, name: str) -> bytes:
    """The domain of NAME@DOMAIN; empty where there is none, or it is this host's."""
    domain = os.fsencode(name.rpartition("@")[2].lower()) if "@" in name else b""
    if not domain:
        return b""
    try:
        files = Controls(home)
        ours = {each.lower() for each in [*files.lines_or_me("locals"), files.me() or b""]}
    except ControlError as error:
        raise click.ClickException(str(error)) from error
    return b"" if domain in ours else domain


def _user(home: bytes, name: str, domain: bytes) -> bytes:
    """The name in the users file: what a login by that address is looked up as."""
    local = os.fsencode(name.rpartition("@")[0] if "@" in name else name)
    if not domain:
        return local
    try:
        found = accounts.mailbox_name(local + b"@" + domain, home)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    return domain + b"-" + local if b"@" in found else found


def _password(name: str, *, from_stdin: bool) -> bytes:
    if from_stdin:
        return read_all(sys.stdin.fileno(), LONGEST).split(b"\n", 1)[0].removesuffix(b"\r")
    typed: str = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    return os.fsencode(typed)


def _kind(secret: bytes) -> str:
    if secret.startswith(passwords.PLAIN):
        return "known"
    return "scrypt" if secret.startswith(passwords.SCRYPT) else "crypt"
