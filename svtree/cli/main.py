"""svtree: make, run and look at a supervised service tree.

The only program here that imports click. A verb is a module of this package with a click command `verb`; it is imported
when it is asked for, so that `svtree status` does not pay for `svtree init`.
"""

from __future__ import annotations

import importlib
import keyword
import os
from typing import TYPE_CHECKING

import click

from svtree import __version__
from svtree.program import PERMANENT, Fatal, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "svtree: usage: svtree VERB [ARGUMENT ...]"

# Verb: what it does, as `svtree --help` lists it without importing it.
VERBS = {
    "init": "Write a service tree that an ordinary user can run.",
    "run": "Run a tree in the foreground until interrupted.",
    "status": "Show every service: state, restarts, log, rules.",
    "user": "Add, change, list and remove mail accounts.",
    "logs": "Show the tree's log, with -f as it grows.",
    "rules": "Explain, check and compile the rules of tcpserver.",
    "import": "Take over the settings of Sendmail or Postfix.",
    "demo": "Make a tree, run it and show what it does.",
    "programs": "List the programs that svtree brings.",
}


class Verbs(click.Group):
    """A group whose commands are modules, imported when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs in the order of a user's first day."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the verb's module; None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        # No module can be called `import`.
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command = importlib.import_module(f"svtree.cli.{module}").verb
        assert isinstance(command, click.Command)  # noqa: S101 - a module here without one is a defect
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the verbs with their purposes."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, subcommand_metavar="VERB ...")
@click.version_option(__version__, prog_name="svtree", message="%(prog)s (svtree) %(version)s")
def group() -> None:
    """One supervised service tree: services, listeners, rules, logs and mail, kept alive by one process."""


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run one verb; click's complaints become the house's."""
    words = [os.fsdecode(word) for word in argv[1:]]
    try:
        code = group.main(words or ["--help"], prog_name="svtree", standalone_mode=False, obj=environ)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "svtree"
        usage = f"{command}: see {command} --help"
        raise UsageError(usage, f"{command}: {error.format_message()}") from error
    except click.ClickException as error:
        raise Fatal(error.format_message(), PERMANENT) from error
    except click.Abort as error:
        raise Fatal("interrupted", PERMANENT) from error
    return code if isinstance(code, int) else 0
