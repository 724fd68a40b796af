"""Where rules are: the file that is meant, the cdb that is in force for it, and whether that cdb was made from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from svtree.cli.survey import SIGNALS
from svtree.formats import cdb, watchfile
from svtree.formats.rules import Decision, RulesError, columns, decide
from svtree.system import atomic
from svtree.system.errors import reason

RULES = "tcp.smtp"
# Where a tree, and a service directory, have their rules.
INSIDE = (Path("service/smtpd") / RULES, Path(RULES))
LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A rules file and the cdb that is compiled from it."""

    source: Path
    target: Path

    @property
    def service(self) -> Path | None:
        """The service directory the file is in; None if it is in none."""
        folder = self.source.parent
        return folder if (folder / "run").exists() else None

    def read(self) -> bytes:
        """The rules; ClickException where they cannot be read."""
        try:
            return atomic.read(os.fsencode(self.source), LIMIT)
        except OSError as error:
            raise click.ClickException(f"unable to read {self.source}: {reason(error)}") from error

    def watched(self) -> bool:
        """Whether a supervisor of ours restarts the service when the cdb changes."""
        return any(
            isinstance(each.action, watchfile.Restart) and self.source.parent / os.fsdecode(each.pattern) == self.target
            for each in _watch(self.source.parent)
        )


@dataclass(frozen=True, slots=True)
class InForce:
    """What the cdb says to a client: `problem` says why that is not known, `same` whether it is made from the rules."""

    decision: Decision | None
    same: bool
    problem: str


def find(path: Path, target: Path | None = None) -> RulesFile:
    """The rules that `path` means: a file, or a tree or service directory with one; ClickException if there is none."""
    source = path
    if path.is_dir():
        found = [path / inside for inside in INSIDE if (path / inside).exists()]
        if not found:
            raise click.ClickException(f"{path} has neither {INSIDE[0]} nor {INSIDE[1]}")
        source = found[0]
    if target is not None:
        return RulesFile(source, target)
    for each in _watch(source.parent):
        if isinstance(each.action, watchfile.Compile) and os.fsdecode(each.pattern) == source.name:
            return RulesFile(source, source.parent / os.fsdecode(each.action.target))
    return RulesFile(source, source.with_name(source.name + ".cdb"))


def in_force(rules: RulesFile, text: bytes, ip: bytes, host: bytes | None, info: bytes | None) -> InForce:
    """What the compiled rules say to a client, and whether they are compiled from `text`."""
    try:
        found = atomic.read(os.fsencode(rules.target), LIMIT)
        decision = decide(cdb.Reader(found).get, ip, host, info)
    except OSError as error:
        return InForce(None, same=False, problem=reason(error))
    except cdb.CdbError as error:
        return InForce(None, same=False, problem=str(error))
    try:
        made = b"".join(cdb.make_columns(columns(text)))
    except (RulesError, cdb.CdbError):
        return InForce(decision, same=False, problem="")
    return InForce(decision, same=found == made, problem="")


def _watch(folder: Path) -> tuple[watchfile.Entry, ...]:
    """What is watched in a directory; nothing where that cannot be known."""
    try:
        return tuple(watchfile.parse(atomic.read(os.fsencode(folder / "watch"), 65536), SIGNALS))
    except (OSError, watchfile.WatchError):
        return ()
