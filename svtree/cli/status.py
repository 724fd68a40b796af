"""`svtree status`: every service in a line, and in words what is not as wanted."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from svtree.cli.survey import Service, as_json, survey
from svtree.system.errors import reason

COLUMNS = ("SERVICE", "STATE", "PID", "SINCE", "RESTARTS", "LAST EXIT", "READY", "LOG", "RULES")
STEPS = ((86400, "d"), (3600, "h"), (60, "m"))


@click.command("status")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_object", is_flag=True, help='{"ok": ..., "services": [...]}')
def verb(*, directory: Path, as_object: bool) -> int:
    """Show every service of the tree at DIRECTORY. Exit 0 when all is as wanted, 1 when not."""
    now = time.time()
    try:
        services = survey(directory, now)
    except OSError as error:
        raise click.ClickException(f"unable to read {directory / 'service'}: {reason(error)}") from error
    if as_object:
        click.echo(json.dumps(as_json(services), indent=2))
    else:
        for line in table(services, now):
            click.echo(line)
    return 1 if any(each.problems for each in services) or not services else 0


def table(services: list[Service], now: float) -> list[str]:
    """The services as lines of columns, then a line for each problem."""
    rows = [COLUMNS, *(_row(each, now) for each in services)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{each.name}: {problem}" for each in services for problem in each.problems]
    return lines if services else ["no services"]


def _row(service: Service, now: float) -> tuple[str, ...]:
    ready = {True: "yes", False: "no", None: "-"}[service.ready]
    log = service.log
    rules = ", ".join(
        f"{each.file} ({each.records} keys, {_span(int(now - each.compiled))} old)"
        if each.compiled is not None
        else f"{each.file} (none in force)"
        for each in service.rules
    )
    return (
        service.name,
        service.state + ("" if service.wanted in (service.state, "once") else f", wanted {service.wanted}"),
        str(service.pid or "-"),
        "-" if service.uptime is None else _span(service.uptime),
        str(service.restarts),
        service.exit or "-",
        ready,
        "-" if log is None else log.state + (f" {log.pid}" if log.pid else ""),
        rules or "-",
    )


def _span(seconds: int) -> str:
    """Seconds as people say them: 42s, 3m, 2h, 5d."""
    for size, unit in STEPS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"
