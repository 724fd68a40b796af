"""What a power cut may make of mail, and what of that may not be: the promise, as `judged` has it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.faults.disk import FREE, JOURNAL, State
from tests.faults.plays import Play
from tests.faults.scenes import EARLIER, Copy, Scene


@dataclass(frozen=True)
class Result:
    """After recovery: the mailboxes' files, what is left in the queue, what qmail-send said."""

    mail: dict[str, bytes]
    queue: dict[str, bytes]
    log: list[bytes]


def judged(play: Play, state: State, result: Result) -> str | None:
    """What is wrong, if anything."""
    half = damaged(play.scene, result.mail)
    if half is not None:
        return half
    for copy in play.scene.copies:
        acknowledged, begun, _ = play.windows[copy]
        count = counted(copy, result.mail)
        if copy.place == "sent" and begun < state.at:
            # The other host has had it since before the cut.
            count += 1
        if state.at >= acknowledged and count == 0:
            return f"lost: {copy.sign!r} in {copy.place}"
        if count > promised(play, state, copy):
            return (
                f"{count} copies of {copy.sign!r} in {copy.place}, at most {promised(play, state, copy)} are promised"
            )
    left = [name for name in result.queue if not name.startswith("queue/pid/")]
    if left and (state.model == JOURNAL or state.at == len(play.record)):
        return f"left in the queue: {left}"
    return None


def promised(play: Play, state: State, copy: Copy) -> int:
    """How many copies there may be."""
    _, begun, settled = play.windows[copy]
    if state.at == len(play.record):
        return 1
    if copy.bounce and state.model == FREE:
        # Queued again, because its text came back, and delivered again, because the end of that did not last.
        return 3
    is_over = state.at > settled and state.model == JOURNAL
    return 1 if state.at <= begun or is_over else 2


def counted(copy: Copy, mail: Mapping[str, bytes]) -> int:
    """How many copies there are."""
    whole = re.compile(copy.form, re.DOTALL)
    if copy.is_mbox:
        return len(whole.findall(mail.get(copy.place, b"")))
    return sum(whole.fullmatch(data) is not None for name, data in mail.items() if is_in(copy.place, name))


def is_in(place: str, name: str) -> bool:
    """Whether a file is one of a Maildir's, for its reader, or one that the other host has taken."""
    return name.startswith("sent/" if place == "sent" else f"{place}/new/")


def damaged(scene: Scene, mail: Mapping[str, bytes]) -> str | None:
    """What is there and is not whole."""
    for place in scene.places:
        forms = [copy.form for copy in scene.copies if copy.place == place]
        if place.endswith("/mbox"):
            # What was cut short stays as a fragment: an mbox knows no better, which is why there are Maildirs.
            if not mail.get(place, b"").startswith(EARLIER):
                return f"{place} has lost what it had"
        elif not place.endswith("mbox"):
            for name, data in mail.items():
                if is_in(place, name) and not any(re.fullmatch(form, data, re.DOTALL) for form in forms):
                    return f"half a message: {name}: {data[:80]!r}"
    return None


def unique(play: Play, states: Iterable[State]) -> dict[object, State]:
    """One state of those that are alike and are judged alike, by what makes them so."""
    found: dict[object, State] = {}
    for each in states:
        passed = tuple(
            (each.at >= acknowledged, each.at > begun, each.at > settled)
            for acknowledged, begun, settled in play.windows.values()
        )
        alike = (each.key(), passed, each.at == len(play.record), each.model == JOURNAL)
        found.setdefault(alike, each)
    return found


def some(states: Iterable[State], most: int) -> list[State]:
    """So many of the states, by chance but always the same, of all moments and both models alike."""
    mixed = list(states)
    random.Random(len(mixed)).shuffle(mixed)
    turns: dict[tuple[int, str], int] = {}
    order = []
    for state in mixed:
        turn = turns[state.at, state.model] = turns.get((state.at, state.model), 0) + 1
        order.append((turn, state))
    order.sort(key=lambda each: each[0])
    return [state for _, state in order[:most]]
