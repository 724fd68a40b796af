"""`svtree import`: what a Sendmail access map or a Postfix main.cf says, as rules, control files and .qmail files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from svtree.formats import control
from svtree.relay import aliases as aliasing
from svtree.relay import postfix, sendmail
from svtree.relay.conversion import Draft
from svtree.system import atomic
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RULES = Path("service/smtpd/tcp.smtp")
LIMIT = 1 << 30
# Control files of which the tree has its own lines, to which those of the import are added.
ADDED_TO = frozenset({"locals", "rcpthosts", "badmailfrom"})
# Seconds between two signs of life, and so many lines are counted before the clock is looked at.
SIGN, STRIDE = 0.5, 8192
# So much of each file is shown; what is written is whole.
SHOWN = 40

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ALIASES = click.option("--aliases", metavar="FILE", type=FILE, help="An aliases file; it becomes alias/.qmail-NAME.")
TREE = click.option(
    "--tree", metavar="DIR", default=".", type=click.Path(path_type=Path), help="The tree; by default the directory."
)
WRITE = click.option("--write", is_flag=True, help="Write. What is replaced is kept as FILE.before-import.")


@click.group("import", no_args_is_help=False)
def verb() -> None:
    """Take over the settings of Sendmail or Postfix.

    Shows what would be written and what cannot be carried, and changes nothing without --write.
    """


@verb.command("sendmail")
@click.argument("access", type=FILE)
@ALIASES
@TREE
@WRITE
def from_sendmail(*, access: Path, aliases: Path | None, tree: Path, write: bool) -> int:
    """Take over ACCESS, the text of Sendmail's access map: who may connect, relay and send."""
    draft = Draft()
    sendmail.convert(_lines(access), str(access), draft)
    return _finish(draft, aliases, tree, _host(tree), write=write)


@verb.command("postfix")
@click.argument("main_cf", metavar="MAIN.CF", type=FILE)
@ALIASES
@TREE
@WRITE
def from_postfix(*, main_cf: Path, aliases: Path | None, tree: Path, write: bool) -> int:
    """Take over MAIN.CF: networks that may relay, domains that are here, and the relay for all other mail."""
    draft = Draft()
    host = postfix.convert(_read(main_cf), str(main_cf), draft, _list_file, _host(tree))
    return _finish(draft, aliases, tree, host, write=write)


def _finish(draft: Draft, aliases: Path | None, tree: Path, host: bytes, *, write: bool) -> int:
    if aliases is not None:
        aliasing.convert(_read(aliases), str(aliases), draft, host)
    files = _files(draft, tree)
    for path, data in files.items():
        _show(path, data)
    if draft.remarks:
        click.echo("\nNot carried, or not wholly:")
    for each in sorted(draft.remarks, key=lambda remark: (remark.source, remark.line)):
        place = f"{each.source}:{each.line}" if each.line else each.source
        click.echo(f"  {place}: {each.text.decode('utf-8', 'backslashreplace')}: {each.reason}")
    if not write:
        click.echo("\nNothing has been written; --write does it.")
        return 0
    if not (tree / RULES).parent.is_dir():
        raise click.ClickException(f"unable to write: {tree} is no tree; make one with svtree init, or say --tree DIR")
    click.echo("")
    for path, data in files.items():
        _write(path, data)
    return 0


def _files(draft: Draft, tree: Path) -> dict[Path, bytes]:
    """What the files of the tree are to hold."""
    home = tree / "qmail"
    files = {tree / RULES: draft.tcp_smtp()} if draft.rules else {}
    for name, lines in draft.controls.items():
        path = home / "control" / name
        kept = dict.fromkeys(control.lines(_existing(path))) if name in ADDED_TO else {}
        files[path] = b"".join(line + b"\n" for line in kept | lines)
    for alias, targets in draft.aliases.items():
        files[home / "alias" / os.fsdecode(alias)] = b"".join(line + b"\n" for line in targets)
    return files


def _show(path: Path, data: bytes) -> None:
    same = _existing(path) == data and path.exists()
    lines = data.decode("utf-8", "backslashreplace").splitlines()
    click.echo(f"{path}{' (as it is)' if same else ''}: {len(lines)} lines")
    for line in lines[:SHOWN]:
        click.echo(f"  {line}")
    if len(lines) > SHOWN:
        click.echo(f"  ... and {len(lines) - SHOWN} more")


def _write(path: Path, data: bytes) -> None:
    """Replace a file, whole; what it held before stays beside it."""
    if path.exists() and _existing(path) == data:
        return
    try:
        backup = _keep(path) if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        if backup is None:
            owner = path.parent.stat()
            atomic.write(os.fsencode(path), data, owner=(owner.st_uid, owner.st_gid))
        else:
            before = path.stat()
            atomic.write(os.fsencode(path), data, mode=before.st_mode & 0o777, owner=(before.st_uid, before.st_gid))
    except OSError as error:
        raise click.ClickException(f"unable to write {path}: {reason(error)}") from error
    click.echo(f"Wrote {path}{f', kept {backup}' if backup else ''}.")


def _keep(path: Path) -> Path:
    """A second name for a file, so that what it holds now stays. Never one that is taken."""
    number = 1
    while True:
        # No address has such an extension: a dot in one is a colon in the file's name.
        backup = path.with_name(f"{path.name}.before-import{'' if number == 1 else f'-{number}'}")
        try:
            os.link(path, backup)
        except FileExistsError:
            number += 1
        else:
            return backup


def _existing(path: Path) -> bytes:
    try:
        return atomic.read(os.fsencode(path), LIMIT)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise click.ClickException(f"unable to read {path}: {reason(error)}") from error


def _read(path: Path) -> bytes:
    try:
        return atomic.read(os.fsencode(path), LIMIT)
    except OSError as error:
        raise click.ClickException(f"unable to read {path}: {reason(error)}") from error


def _list_file(name: bytes) -> bytes | None:
    """A file that a list of main.cf names."""
    try:
        return atomic.read(name, LIMIT)
    except OSError:
        return None


def _host(tree: Path) -> bytes:
    """The tree's own name, for what does not say one."""
    return _existing(tree / "qmail/control/me").partition(b"\n")[0].strip()


def _lines(path: Path, clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """The lines of a map; of a long one it is told now and then how far the reading has come."""
    lines = _read(path).split(b"\n")
    last = clock()
    told = False
    for number, line in enumerate(lines):
        if number % STRIDE == 0 and clock() - last > SIGN:
            last, told = clock(), True
            click.echo(f"\r{path}: {number} of {len(lines)} lines", err=True, nl=False)
        yield line
    if told:
        click.echo(f"\r{path}: {len(lines)} of {len(lines)} lines", err=True)
