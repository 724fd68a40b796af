"""docs/lifecycle.md: the lifecycle table in Markdown."""

from __future__ import annotations

from svtree.supervision.lifecycle import BOUND, FORGIVEN, GAP, STEADY, TABLE, WAIVED_EACH, WAIVERS, Event


def render() -> str:
    """The page."""
    lines = [
        "# The life of a service",
        "",
        "Printed from `svtree/supervision/lifecycle.py`; a test compares. An event that a state does not list changes",
        "nothing there.",
        "",
        f"Between two starts lies at least {GAP:g} second; but a restart because a watched file has changed comes at",
        f"once, {WAIVERS} times in a row and then every {WAIVED_EACH:g} seconds.",
        "",
        f"A run that fails within {STEADY:g} seconds is counted; from the {FORGIVEN + 1}th in a row on, the pause is",
        f"2, 4, 8 ... seconds, at most {BOUND:g}. A run that lasts longer, or `svc -u`, clears the count. A run that",
        "was sent TERM does not count.",
    ]
    for state, row in TABLE.items():
        lines += ["", f"## {state.name}", "", f"{state.value[:1].upper()}{state.value[1:]}.", ""]
        if not row:
            lines[-1:] = []
            continue
        lines += ["| event | next state | actions |", "|---|---|---|"]
        for event in Event:
            if event in row:
                after, actions = row[event]
                what = f"`{event.value}`" if len(event.value) == 1 else event.value
                lines.append(f"| {what} | {after.name} | {', '.join(action.value for action in actions) or 'none'} |")
    return "\n".join(lines) + "\n"
