"""The state diagrams of the documentation, drawn from the tables in the code: `python docs/diagrams.py`.

A state is a box; an arrow is every event, or outcome of a step, that leads from one state to another, with their names.
What leaves a state as it is is not drawn. Only where the boxes stand is decided here; a state without a place is an
error, so a new one cannot be forgotten. docs/pictures holds the result, and a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from svtree.mail.pop3 import table as pop3
from svtree.mail.smtp import table as smtp
from svtree.supervision.lifecycle import TABLE, Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    # (from, to): what leads there.
    Arrows = Mapping[tuple[str, str], list[str]]
    Places = Mapping[str, tuple[int, int]]

PICTURES = Path(__file__).parent / "pictures"
BOX = (150, 40)
CELL = (300, 150)
MARGIN = 70
TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#456"/></marker></defs>'
)
# Places are column and row. A service's are what is wanted, and what runs.
LIFECYCLE: Places = {
    "NEW": (0, 1),
    "WAITING": (1, 0),
    "WAITING_ONCE": (2, 0),
    "DOWN": (3, 0),
    "GONE": (4, 0),
    "UP": (1, 1),
    "ONCE": (2, 1),
    "LEAVING": (4, 1),
    "RESTARTING": (1, 2),
    "STOPPING": (3, 2),
    "LEAVING_DOWN": (4, 2),
    "FINISHING": (1, 3),
    "FINISHING_ONCE": (2, 3),
    "FINISHING_DOWN": (3, 3),
    "FINISHING_LAST": (4, 3),
}
SMTP: Places = {"IDLE": (0, 0), "SENDER": (1, 0), "READY": (2, 0), "LOGIN": (0, 1), "OVER": (1, 2), "DATA": (2, 1)}
POP3: Places = {"STRANGER": (0, 0), "NAMED": (1, 0), "TRANSACTION": (2, 0), "OVER": (1, 1)}
SHORT = {
    Event.RENEW: "changed",
    Event.DUE: "pause over",
    Event.ENDED: "ended",
    Event.FAILED: "failed",
    Event.LATE: "late",
    Event.FOUND: "found, up",
    Event.FOUND_ONCE: "found, once",
    Event.FOUND_DOWN: "found, down",
    Event.FOUND_FINISH: "found, finish",
}


def lifecycle_arrows() -> Arrows:
    """What leads from one state of a service to another."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, row in TABLE.items():
        for event, (following, _) in row.items():
            if following is not state:
                arrows.setdefault((state.name, following.name), []).append(SHORT.get(event, event.value))
    return arrows


def smtp_arrows() -> Arrows:
    """What leads from one state of an SMTP session to another: verbs, and steps that no verb begins."""
    own = {"DATA": smtp.DELIVERY, "LOGIN": smtp.AUTHENTICATION}
    return _session(smtp.TABLE, smtp.STEPS, own, smtp.TROUBLE)


def pop3_arrows() -> Arrows:
    """The same of a POP3 session. A right password is the step from qmail-popup to qmail-pop3d, another program."""
    arrows = dict(_session(pop3.TABLE, pop3.STEPS, {}, pop3.TROUBLE))
    for state, row in pop3.TABLE.items():
        for verb, step in row.items():
            if "served" in pop3.STEPS[step]:
                arrows.setdefault((state, pop3.TRANSACTION), []).append(f"{verb.decode().upper()} right")
    return arrows


def _session(
    verbs: Mapping[str, Mapping[bytes, str]],
    steps: Mapping[str, Mapping[str, tuple[bytes, str]]],
    own: Mapping[str, str],
    trouble: str,
) -> Arrows:
    arrows: dict[tuple[str, str], list[str]] = {}
    begun = [(state, verb.decode().upper(), step) for state, row in verbs.items() for verb, step in row.items()]
    begun += [(state, step, step) for state, step in own.items()]
    begun += [(state, trouble, trouble) for state in (*verbs, *own)]
    for state, label, step in begun:
        for _, following in steps[step].values():
            known = arrows.setdefault((state, following), []) if following not in ("=", state) else [label]
            if label not in known:
                known.append(label)
    return arrows


def draw(title: str, places: Places, arrows: Arrows) -> str:
    """The picture as SVG."""
    for pair in arrows:
        for state in pair:
            if state not in places:
                raise ValueError(f"{title}: {state} has no place in docs/diagrams.py")
    width = max(column for column, _ in places.values()) * CELL[0] + BOX[0] + 3 * MARGIN
    height = max(row for _, row in places.values()) * CELL[1] + BOX[1] + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        TIP,
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    drawn = [_arrow(places[start], places[end], labels) for (start, end), labels in arrows.items()]
    lines += [path for path, _ in drawn]
    lines += [_box(name, _middle(place)) for name, place in places.items()]
    lines += [label for _, label in drawn]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _middle(place: tuple[int, int]) -> tuple[float, float]:
    return MARGIN + BOX[0] / 2 + place[0] * CELL[0], MARGIN + BOX[1] / 2 + place[1] * CELL[1]


def _box(name: str, middle: tuple[float, float]) -> str:
    x, y = middle
    return (
        f'<rect x="{x - BOX[0] / 2:.0f}" y="{y - BOX[1] / 2:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="8" '
        f'fill="#eef3f8" stroke="#456"/><text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" '
        f'font-family="monospace" font-size="14">{escape(name)}</text>'
    )


def _arrow(start: tuple[int, int], end: tuple[int, int], labels: list[str]) -> tuple[str, str]:
    """A curve that keeps to its right, so that there and back are two, and passes by the boxes between."""
    (x, y), (u, v) = _middle(start), _middle(end)
    across, along = u - x, v - y
    length = (across**2 + along**2) ** 0.5
    span = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    bow = 24 + (span - 1) * (62 if not along else 16)
    if not across and span > 1:
        # Between the columns, past the boxes of this one.
        bow = 180 + 40 * span
    middle = ((x + u) / 2 - along / length * bow, (y + v) / 2 + across / length * bow)
    (a, b), (c, d) = _edge((x, y), middle), _edge((u, v), middle)
    path = f"M{a:.0f} {b:.0f} Q{middle[0]:.0f} {middle[1]:.0f} {c:.0f} {d:.0f}"
    # Nearer to where it comes from, where fewer arrows meet.
    near = 0.42
    at = [
        (1 - near) ** 2 * p + 2 * near * (1 - near) * q + near**2 * r
        for p, q, r in ((a, middle[0], c), (b, middle[1], d))
    ]
    label = (
        f'<text x="{at[0]:.0f}" y="{at[1] + 4:.0f}" text-anchor="middle" font-family="sans-serif" font-size="12" '
        f'stroke="#fff" stroke-width="4" paint-order="stroke">{escape(", ".join(labels))}</text>'
    )
    return f'<path d="{path}" fill="none" stroke="#456" marker-end="url(#tip)"/>', label


def _edge(box: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where a line from the middle of a box leaves it."""
    across, along = towards[0] - box[0], towards[1] - box[1]
    scale = min(BOX[0] / 2 / abs(across) if across else 9e9, BOX[1] / 2 / abs(along) if along else 9e9, 1.0)
    return box[0] + across * scale, box[1] + along * scale


def pictures() -> dict[str, str]:
    """Every picture by the name of its file."""
    return {
        "lifecycle.svg": draw("The life of a service", LIFECYCLE, lifecycle_arrows()),
        "smtp-session.svg": draw("The SMTP session", SMTP, smtp_arrows()),
        "pop3-session.svg": draw("The POP3 session", POP3, pop3_arrows()),
    }


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (PICTURES / name).write_text(text)
