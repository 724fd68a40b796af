"""`svtree rules`: which line decides about a client, which lines are mistakes, and new rules put in force by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from svtree.cli.rulefiles import InForce, RulesFile, find, in_force
from svtree.formats import networks
from svtree.formats.rulelint import ERROR, NOTE, lint
from svtree.formats.rules import Decision, RulesError
from svtree.formats.ruletrace import Line, Trace, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

FILE = click.argument("file", default=".", type=click.Path(exists=True, path_type=Path))


@click.group("rules", no_args_is_help=False)
def verb() -> None:
    """Explain, check and compile the rules of tcpserver.

    FILE is a rules file, or a tree or service directory, by default the current one, that has one.
    """


@verb.command("explain")
@click.argument("address")
@FILE
@click.option("--host", metavar="NAME", help="The client's host name, as tcpserver -h finds it.")
@click.option("--info", metavar="USER", help="What the client's ident server says, as tcpserver -r asks it.")
@click.option("--json", "as_object", is_flag=True, help="One JSON object.")
def explain(*, address: str, file: Path, host: str | None, info: str | None, as_object: bool) -> int:
    """Say which line of FILE decides about a client at ADDRESS, which it shadows, and what the cdb in force says.

    Exit 0 when the rules compile and what is in force says the same to this client, 1 when not.
    """
    ip = os.fsencode(address.removeprefix("[").removesuffix("]"))
    if networks.parse(ip.partition(b"%")[0]) is None:
        raise click.UsageError(f"{address} is no address")
    rules = find(file)
    text = rules.read()
    client = (ip, None if host is None else os.fsencode(host.lower()), None if info is None else os.fsencode(info))
    force = in_force(rules, text, *client)
    try:
        found = trace(text, *client)
    except RulesError as error:
        _print(_failure_as_json(rules, force, error) if as_object else _failure(rules, force, error))
        return 1
    _print(_as_json(address, rules, found, force) if as_object else _explanation(address, rules, found, force))
    return 0 if force.decision is not None and _same(force.decision, found.decision) else 1


@verb.command("lint")
@FILE
def lint_verb(*, file: Path) -> int:
    """List the lines of FILE that are no rules, match nobody, or are surely mistakes.

    Exit 0 when there are none (a note is none), 1 when there are.
    """
    rules = find(file)
    found = lint(rules.read())
    for each in found:
        click.echo(f"{rules.source}:{each.line}: {each.severity}: {each.text}")
    bad = [each for each in found if each.severity != NOTE]
    errors = sum(each.severity == ERROR for each in bad)
    if not found:
        click.echo(f"{rules.source}: nothing to mend")
    elif errors:
        click.echo(f"{rules.source}: {errors} of these lines do not compile: the old rules stay in force")
    return 1 if bad else 0


@verb.command("update")
@FILE
@click.argument("cdb", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def update(environ: Environ, /, *, file: Path, cdb: Path | None) -> int:
    """Compile FILE into CDB, restart the service whose directory it is in, and say so line by line.

    CDB is by default what the file `watch` beside FILE says, or FILE.cdb. The old rules stay in force until the new
    ones have compiled.
    """
    from svtree.cli.ruleupdate import run

    # Whole paths: what is shown is what anybody could type anywhere.
    return run(find(file.absolute(), None if cdb is None else cdb.absolute()), environ)


def _explanation(address: str, rules: RulesFile, found: Trace, force: InForce) -> list[str]:
    """The answer in lines."""
    says = _says(found.decision)
    if found.line is None:
        lines = [f"{address} is {says}: no line of {rules.source} matches"]
    else:
        lines = [f"{address} is {says} by {rules.source}:{found.line.number}", f"    {shown(found.line.text)}"]
    lines += [f"with {shown(name)}={shown(value)}" for name, value in dict(found.decision.environ).items()]
    if found.shadowed:
        lines.append("Without that line, these would decide, the first of them first:")
        lines += [f"    {rules.source}:{each.number}: {shown(each.text)}" for each in found.shadowed]
    lines += _unasked(found)
    lines.append(_force(rules, force, found.decision))
    return lines


def _unasked(found: Trace) -> list[str]:
    about = ((found.named, "the client's host name", "--host NAME"), (found.users, "its user", "--info USER"))
    return [f"Not asked, without {what} ({option}): {_numbers(lines)}" for lines, what, option in about if lines]


def _numbers(lines: Sequence[int]) -> str:
    some = ", ".join(map(str, lines[:8]))
    return f"line{'s' if len(lines) > 1 else ''} {some}" + (", ..." if len(lines) > 8 else "")


def _force(rules: RulesFile, force: InForce, decision: Decision) -> str:
    """About the cdb."""
    if force.decision is None:
        return f"In force: nothing of this: {rules.target}: {force.problem}"
    if force.same:
        return f"In force: {rules.target}, compiled from these rules"
    other = f"In force: {rules.target}, compiled from other rules"
    if _same(force.decision, decision):
        return f"{other}, which say the same to this client"
    return f"{other}: {_says(force.decision)} by {_rule(force.decision)}"


def _failure(rules: RulesFile, force: InForce, error: RulesError) -> list[str]:
    """What is to be said where the rules do not compile."""
    lines = [f"{rules.source}:{error.line}: {error.reason}", f"    {shown(error.text)}"]
    if force.decision is None:
        return [*lines, f"In force: nothing: {rules.target}: {force.problem}"]
    told = [f"with {shown(name)}={shown(value)}" for name, value in dict(force.decision.environ).items()]
    return [*lines, f"In force: {rules.target}: {_says(force.decision)} by {_rule(force.decision)}", *told]


def _as_json(address: str, rules: RulesFile, found: Trace, force: InForce) -> list[str]:
    answer = {
        "address": address,
        "file": str(rules.source),
        "error": None,
        **_decision_as_json(found.decision),
        "line": None if found.line is None else _line_as_json(found.line),
        "shadowed": [_line_as_json(each) for each in found.shadowed],
        "not_asked": {"host": found.named, "info": found.users},
        "cdb": _force_as_json(rules, force, found.decision),
    }
    return [json.dumps(answer, indent=2)]


def _failure_as_json(rules: RulesFile, force: InForce, error: RulesError) -> list[str]:
    problem = {"line": error.line, "reason": error.reason, "text": os.fsdecode(error.text)}
    return [
        json.dumps({"file": str(rules.source), "error": problem, "cdb": _force_as_json(rules, force, None)}, indent=2)
    ]


def _force_as_json(rules: RulesFile, force: InForce, decision: Decision | None) -> dict[str, object]:
    agrees = force.decision is not None and decision is not None and _same(force.decision, decision)
    return {
        "file": str(rules.target),
        "same": force.same,
        "agrees": agrees,
        "problem": force.problem,
        **(_decision_as_json(force.decision) if force.decision is not None else {}),
    }


def _decision_as_json(decision: Decision) -> dict[str, object]:
    return {
        "decision": "deny" if decision.deny else "allow",
        "rule": None if decision.name is None else os.fsdecode(decision.name),
        "environment": {os.fsdecode(name): os.fsdecode(value) for name, value in decision.environ},
    }


def _line_as_json(line: Line) -> dict[str, object]:
    return {"number": line.number, "text": os.fsdecode(line.text), **_decision_as_json(line.decision)}


def _same(one: Decision, other: Decision) -> bool:
    """Whether two decisions do the same to a connection, by whatever rule."""
    return (one.deny, dict(one.environ)) == (other.deny, dict(other.environ))


def _says(decision: Decision) -> str:
    return "denied" if decision.deny else "allowed"


def _rule(decision: Decision) -> str:
    if decision.name is None:
        return "no rule"
    return f"the rule {shown(decision.name)}" if decision.name else "the rule with the empty address"


def _print(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)


def shown(text: bytes) -> str:
    """Bytes as a terminal may have them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text.decode("utf-8", "replace"))
