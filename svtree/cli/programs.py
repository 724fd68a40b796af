"""`svtree programs`: the registry, for people and for scripts."""

from __future__ import annotations

import json

import click

from svtree.registry import PROGRAMS


@click.command("programs")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
def verb(*, as_json: bool) -> None:
    """List the programs that svtree brings, by suite."""
    if as_json:
        rows = [
            {"name": each.name, "section": each.section, "suite": each.suite, "purpose": each.purpose}
            for each in PROGRAMS
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(each.name) for each in PROGRAMS)
    suite = ""
    for each in PROGRAMS:
        if each.suite != suite:
            click.echo(f"{'' if not suite else chr(10)}{each.suite}")
            suite = each.suite
        click.echo(f"  {each.name:<{width}}  {each.purpose}")
