"""The tables of a session machine in Markdown, for the pages under docs/ that tests compare with."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SAME = "="


def page(
    about: str,
    table: Mapping[str, Mapping[bytes, str]],
    otherwise: Mapping[str, str],
    steps: Mapping[str, Mapping[str, tuple[bytes, str]]],
) -> str:
    """`about` is the page's head; then a row for each verb and each outcome."""
    lines = [about, "", "## Which step a verb is in each state", ""]
    lines += [_row(["verb", *table]), _row(["---"] * (len(table) + 1))]
    verbs = sorted({verb for row in table.values() for verb in row})
    lines += [
        _row([verb.decode().upper(), *(row.get(verb, otherwise[state]) for state, row in table.items())])
        for verb in verbs
    ]
    lines += [_row(["any other", *(otherwise[state] for state in table)])]
    lines += ["", "## What each outcome of a step answers, and the next state", ""]
    lines += [_row(["step", "outcome", "reply", "next state"]), _row(["---"] * 4)]
    for step, outcomes in steps.items():
        for outcome, (reply, state) in outcomes.items():
            said = "<br>".join(f"`{line}`" for line in reply.decode().split("\r\n")) if reply else "nothing"
            lines.append(_row([step, outcome, said, "the same" if state == SAME else state]))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
