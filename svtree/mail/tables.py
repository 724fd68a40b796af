"""The tables of a session machine: their shape, and they themselves in Markdown, for the pages under docs/.

A machine has two. A `Table` says which step a verb is in each state, `Steps` what each outcome of a step answers and
where it leads. States and steps are words, because the tables are printed and read.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final, TypeAlias

    Verbs: TypeAlias = Mapping[bytes, str]
    Table: TypeAlias = Mapping[str, Verbs]
    # An outcome's reply, without its last CRLF, and the next state.
    Outcomes: TypeAlias = Mapping[str, tuple[bytes, str]]
    Steps: TypeAlias = Mapping[str, Outcomes]

# The state in which the connection is to be closed.
OVER: Final = "OVER"
# In place of a state: the one that there was.
SAME: Final = "="


def page(
    about: str,
    table: Table,
    otherwise: Mapping[str, str],
    steps: Steps,
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
