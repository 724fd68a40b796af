"""`svtree run`: the supervision engine in the foreground, over the services of one tree."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from svtree.cli.layout import Address
from svtree.supervision import ask
from svtree.supervision.supervisor import Supervisor
from svtree.system.loop import Loop
from svtree.system.streams import complain_if_heard

if TYPE_CHECKING:
    from svtree.program import Environ

ACCOUNTS = ("qmaild", "qmaill", "qmailq", "qmailr", "qmails", "alias")


@click.command("run")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_obj
def verb(environ: Environ, /, *, directory: Path) -> int:
    """Run the tree at DIRECTORY in the foreground until TERM or INT takes it down in order.

    Programs are found beside svtree itself, unless that directory stands elsewhere in PATH already.
    """
    services = Path(os.path.abspath(directory)) / "service"
    if not services.is_dir():
        raise click.ClickException(f"{services}: no such directory; svtree init makes one")
    for path in sorted(services.iterdir()):
        if _supervised(path):
            raise click.ClickException(f"{path} is supervised already: is the tree running?")
    _warn_of_root()
    loop = Loop()
    supervisor = Supervisor(loop, {**environ, b"PATH": _path(environ)}, announce=Announcer(services))
    click.echo(f"svtree: running {services} (pid {os.getpid()}); TERM or Ctrl-C takes it down")
    sys.stdout.flush()
    try:
        supervisor.scan(os.fsencode(services))
        supervisor.run()
    finally:
        supervisor.close()
        loop.close()
    click.echo("svtree: down")
    return 0


class Announcer:
    """Says on standard output what becomes of a service, and where one listens that is up."""

    def __init__(self, services: Path) -> None:
        """`services` is the tree's directory of service directories."""
        self._services = services

    def __call__(self, name: bytes, sentence: str) -> None:
        """One line; a standard output that is gone, or full and never read, must not stop a supervisor."""
        where = ""
        if sentence.startswith(("up", "adopted")):
            where = self._listening(os.fsdecode(name))
        complain_if_heard(b"svtree: " + name + b": " + (sentence + where).encode(), 1)

    def _listening(self, name: str) -> str:
        try:
            ip, port = ((self._services / name / "env" / each).read_text().strip() for each in ("IP", "PORT"))
        except OSError:
            return ""
        return f", listening on {Address(ip, int(port))}" if port.isdecimal() else f", listening on {ip} {port}"


def _supervised(path: Path) -> bool:
    try:
        ask.knock(os.fsencode(path))
    except OSError:
        return False
    return True


def _path(environ: Environ) -> bytes:
    """PATH with the directory of our programs, first if it was not there: /usr/bin may hold the originals."""
    path = environ.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin")
    # The script's links followed, so that /usr/bin/svtree finds the directory it is a link into; the interpreter's not,
    # which in a virtual environment lead out of it.
    for place in (os.path.realpath(sys.argv[0]), os.path.abspath(sys.executable)):
        folder = os.path.dirname(place)
        if os.access(os.path.join(folder, "tcpserver"), os.X_OK):
            ours = os.fsencode(folder)
            return path if ours in path.split(b":") else ours + b":" + path
    return path


def _warn_of_root() -> None:
    if os.geteuid() != 0:
        return
    missing = []
    for name in ACCOUNTS:
        try:
            pwd.getpwnam(name)
        except KeyError:
            missing.append(name)
    if missing:
        click.echo(f"svtree: warning: running as root without the accounts {' '.join(missing)}", err=True)
