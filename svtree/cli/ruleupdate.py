"""`svtree rules update`: compile rules and restart their service, each step a line, as an update script does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click

from svtree.formats import status
from svtree.multicall import search
from svtree.program import TEMPORARY, Fatal
from svtree.supervision import ask
from svtree.system import atomic
from svtree.system.errors import reason

if TYPE_CHECKING:
    from pathlib import Path

    from svtree.cli.rulefiles import RulesFile
    from svtree.program import Environ

# tcprules on a file of a million lines takes a few seconds.
COMPILING = 120.0
# A service has so long to end and to be started; one that ran less than a second waits that out.
RESTARTING = 30.0
# So long a supervisor that watches the cdb has before it is asked: it looks after a tenth of a second.
NOTICING = 2.0
GLANCE = 0.02


def run(rules: RulesFile, environ: Environ) -> int:
    """Have the rules in force; the exit code is that of tcprules where it fails."""
    click.echo(f"Updating {rules.target} using {rules.source}")
    before = _content(rules.target)
    # Race: a supervisor that watches the cdb may have restarted the service before we come to look who runs. Whoever
    # runs now has the old rules; whoever runs later, and is another, has been restarted.
    service = rules.service
    running = None if service is None else _running(service)
    code = _compile(rules, environ)
    if code:
        return code
    if service is None:
        click.echo(f"{rules.source.parent} is no service: tcpserver asks the new rules at the next connection")
    else:
        _restart(service, running, noticed=rules.watched() and _content(rules.target) != before)
    click.echo("\nUpdate is successful.")
    return 0


def _compile(rules: RulesFile, environ: Environ) -> int:
    """Run tcprules, as anybody could type it; what it complains of goes where our own complaints go."""
    program = _tcprules(environ)
    temporary = rules.target.with_name(rules.target.name.removesuffix(".cdb") + ".tmp")
    words = [program, str(rules.target), str(temporary), str(rules.source)]
    click.echo(f"{' '.join(words)} < {rules.source}")
    try:
        with rules.source.open("rb") as source:
            # The service reads the cdb as its own user.
            done = subprocess.run(words, stdin=source, umask=0o022, timeout=COMPILING, check=False)
    except OSError as error:
        raise Fatal(f"unable to run {program}: {reason(error)}") from error
    except subprocess.TimeoutExpired as error:
        raise Fatal(f"{program} did not end within {COMPILING:.0f} seconds") from error
    if done.returncode:
        click.echo(f"\nUpdate has failed: the rules in {rules.target} stay in force.")
    return done.returncode if done.returncode >= 0 else TEMPORARY


def _tcprules(environ: Environ) -> str:
    """Our tcprules, which is beside us, or the first on PATH."""
    for beside in (os.path.realpath(sys.argv[0]), os.path.abspath(sys.executable)):
        path = os.path.join(os.path.dirname(beside), "tcprules")
        if os.access(path, os.X_OK):
            return path
    found = search(b"tcprules", environ)
    if found is None:
        raise Fatal("unable to run tcprules: file does not exist")
    return os.fsdecode(found)


def _running(service: Path) -> int | None:
    """The pid of the service, 0 while it is down; None where nobody supervises it."""
    directory = os.fsencode(service)
    try:
        ask.knock(directory)
        return ask.look(directory).pid
    except (OSError, status.StatusError):
        return None


def _restart(service: Path, old: int | None, *, noticed: bool) -> None:
    """Have the service run in another process than `old`; `noticed`: its supervisor will see to that by itself."""
    name = service.resolve().name
    directory = os.fsencode(service)
    if old is None:
        click.echo(f"{name} is not supervised: there is nothing to restart")
        return
    if not old:
        click.echo(f"{name} is down: it will have the new rules when it is up")
        return
    if noticed:
        click.echo(f"{service / 'watch'}: restart")
    else:
        _ask(service, directory)
    click.echo(f"Restarting {name}\nStopping {name}: pid {old}")
    if noticed and not _wait(directory, old, NOTICING):
        # Another's supervisor, to which that file says nothing.
        _ask(service, directory)
    new = _wait(directory, old, RESTARTING)
    if not new:
        raise Fatal(f"{service} has not started again within {RESTARTING:.0f} seconds")
    click.echo(f"Starting {name}: pid {new}")


def _ask(service: Path, directory: bytes) -> None:
    click.echo(f"svc -t {service}")
    try:
        control = ask.listener(directory)
        try:
            os.write(control, b"t")
        finally:
            os.close(control)
    except OSError as error:
        raise Fatal(f"unable to control {service}: {reason(error)}") from error


def _wait(directory: bytes, old: int, seconds: float) -> int:
    """The pid of another process that runs the service; 0 where there is none within so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = ask.look(directory).pid
            if found not in (0, old):
                return found
        except (OSError, status.StatusError):
            # Just being replaced, or its directory is; the deadline ends this.
            pass
        if time.monotonic() > until:
            return 0
        time.sleep(GLANCE)


def _content(path: Path) -> bytes | None:
    try:
        return atomic.read(os.fsencode(path))
    except OSError:
        return None
