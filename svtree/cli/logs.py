"""`svtree logs`: what the tree's services have said.

A tree with a receiver of its own is read from DIR/service/syslog/log/main, which multilog writes: stamps become local
time, and with -f the command goes on over rotations. A tree that writes to the machine's syslog is read with
journalctl, or from the files that a syslog daemon writes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import click

from svtree.cli.layout import SYSLOG_SERVICE
from svtree.formats import tai64
from svtree.multicall import search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from svtree.program import Environ

# The tags of those that have another one than their name.
TAGS = {"qmail-send": "qmail"}
SYSTEM_FILES = ("/var/log/mail.log", "/var/log/syslog", "/var/log/maillog", "/var/log/messages")
PAUSE = 0.1


@click.command("logs")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("services", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on showing lines as they come, until interrupted.")
@click.option("-n", "--lines", default=100, show_default=True, type=click.IntRange(0), help="How many of the last.")
@click.pass_obj
def verb(environ: Environ, /, *, directory: Path, services: tuple[str, ...], follow: bool, lines: int) -> int:
    """Show the log of the tree at DIRECTORY, of all services or of those named."""
    known = [path.name for path in (directory / "service").iterdir()] if (directory / "service").is_dir() else []
    for name in services:
        if name not in known:
            raise click.ClickException(f"{directory / 'service' / name}: no such service")
    wanted = frozenset(TAGS.get(name, name).encode() for name in services)
    own = directory / "service" / SYSLOG_SERVICE / "log" / "main"
    if own.parent.is_dir():
        return _own(own, wanted, lines, follow=follow)
    every = frozenset(TAGS.get(name, name).encode() for name in known)
    return _system(wanted or every, lines, environ, follow=follow)


def _own(main: Path, wanted: frozenset[bytes], count: int, *, follow: bool) -> int:
    if not main.is_dir() and not follow:
        raise click.ClickException(f"unable to read {main}: the tree has not run yet")
    last: deque[bytes] = deque(maxlen=count)
    reader = Reader(main)
    last.extend(line for line in reader.lines() if _about(line, wanted))
    _show(last)
    while follow:
        time.sleep(PAUSE)
        _show(line for line in reader.lines() if _about(line, wanted))
    return 0


class Reader:
    """The lines of a multilog directory, oldest first, and at each further call what has come since.

    A rotation renames `current` to a name that begins with its last stamp: the file in hand is finished before the
    next `current` is opened, and no line is skipped or shown twice.
    """

    def __init__(self, directory: Path) -> None:
        """`directory` holds current and @*.s; it may come later."""
        self._directory = directory
        self._seen: set[int] = set()
        self._descriptor = -1
        self._inode = -1
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Every complete line not yet given."""
        for path in sorted(self._directory.glob("@*")):
            try:
                inode = path.stat().st_ino
            except FileNotFoundError:
                continue
            if inode == self._inode:
                yield from self._drain()
                self._forget()
            elif inode not in self._seen:
                self._open(path)
                yield from self._drain()
                self._forget()
        if self._descriptor < 0:
            self._open(self._directory / "current")
        yield from self._drain()

    def _open(self, path: Path) -> None:
        self._forget()
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        self._inode = os.fstat(self._descriptor).st_ino

    def _forget(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._seen.add(self._inode)
        self._descriptor = self._inode = -1
        self._rest = b""

    def _drain(self) -> Iterator[bytes]:
        while self._descriptor >= 0 and (block := os.read(self._descriptor, 1 << 16)):
            *whole, self._rest = (self._rest + block).split(b"\n")
            yield from whole


def _about(line: bytes, wanted: frozenset[bytes]) -> bool:
    if not wanted:
        return True
    # "@STAMP FACILITY.SEVERITY TAG[PID]: text" and "@STAMP TAG: text" alike: the tag is before the first colon.
    head = line.partition(b":")[0].rpartition(b" ")[2]
    return head.partition(b"[")[0] in wanted


def _show(lines: Iterator[bytes] | deque[bytes]) -> None:
    for line in lines:
        stamp, space, text = line.partition(b" ")
        try:
            ns = tai64.parse(stamp)
        except ValueError:
            click.echo(line)
            continue
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ns // tai64.NANO))
        click.echo(f"{moment}.{ns // 1_000_000 % 1000:03d}{space.decode()}".encode() + text)


def _system(tags: frozenset[bytes], count: int, environ: Environ, *, follow: bool) -> int:
    journal = search(b"journalctl", environ)
    if journal is not None and Path("/run/systemd/journal/socket").exists():
        identifiers = [word for tag in sorted(tags) for word in ("-t", os.fsdecode(tag))]
        return subprocess.run([journal, "-n", str(count), *identifiers, *["-f"] * follow], check=False).returncode
    files = [path for path in SYSTEM_FILES if os.access(path, os.R_OK)]
    if not files:
        raise click.ClickException("unable to find the system's log: no journal, none of " + ", ".join(SYSTEM_FILES))
    pattern = "|".join(f" {os.fsdecode(tag)}(\\[[0-9]+\\])?:" for tag in sorted(tags))
    command = ["tail", "-q", "-n", "+1" if not follow else str(count), *["-F"] * follow, *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tail:
        select = ["grep", "--line-buffered", "-E", pattern]
        with subprocess.Popen(select, stdin=tail.stdout, stdout=None if follow else subprocess.PIPE) as grep:
            if grep.stdout is not None:
                for line in deque(grep.stdout, maxlen=count):
                    click.echo(line, nl=False)
    return 0
