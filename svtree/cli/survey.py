"""What there is to know about the services of a tree, gathered from what is on disk: for `svtree status`.

Nothing here talks to the supervisor: a tree is surveyed whether it runs or not, and by anybody who may read it.
"""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from svtree.formats import cdb, status, watchfile
from svtree.formats.rulekeys import NETWORKS
from svtree.formats.status import Status, StatusError
from svtree.supervision import ask, report
from svtree.system import atomic
from svtree.system.errors import reason

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_000_000_000
SIGNALS = {each.name.removeprefix("SIG").encode(): int(each) for each in signal.Signals}
RULES_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Process:
    """A supervised process: "up", "down", "finishing", "paused"; "unsupervised" or "unknown" (we may not look)."""

    state: str
    pid: int | None
    seconds: int | None
    """How long it has been in that state."""


@dataclass(frozen=True, slots=True)
class Rules:
    """A rules file that is compiled when it changes, and what is in force of it."""

    file: str
    cdb: str
    records: int | None
    """How many keys the cdb holds; None when there is none that can be read."""
    compiled: float | None
    """Unix time at which the cdb was made."""
    problem: str


@dataclass(frozen=True, slots=True)
class Service:
    """A service directory with all that is known of it. `problems` is empty when all is as wanted."""

    name: str
    state: str
    pid: int | None
    uptime: int | None
    wanted: str
    restarts: int
    exit: str
    ready: bool | None
    says: str
    adopted: bool
    log: Process | None
    rules: tuple[Rules, ...]
    complaints: tuple[str, ...]
    problems: tuple[str, ...]


def survey(directory: Path, now: float) -> list[Service]:
    """Every service of the tree at `directory`, by name; `now` is the Unix time. OSError if there is no tree."""
    services = directory / "service"
    names = sorted(path.name for path in services.iterdir() if not path.name.startswith(".") and path.is_dir())
    return [_service(services / name, now) for name in names]


def as_json(services: list[Service]) -> dict[str, object]:
    """The survey as JSON knows it: {"ok": bool, "services": [...]}."""
    return {"ok": not any(each.problems for each in services), "services": [asdict(each) for each in services]}


def _service(path: Path, now: float) -> Service:
    where = os.fsencode(path)
    process, found = _process(where, now)
    said = report.read(where)
    log = _process(where + b"/log", now)[0] if (path / "log" / "run").exists() else None
    rules = _rules(path)
    wanted = _wanted(where, found)
    problems = [*_discrepancies(process, wanted), *([said.problem] if said.problem else [])]
    if process.state != "unsupervised":
        if said.backoff and process.state != "up":
            problems.append(f"starts again after a pause of {said.backoff:.0f} s: it keeps dying")
        if said.ready is False and process.state == "up":
            problems.append("not ready")
        problems += [f"log: {each}" for each in _discrepancies(log, "up")] if log and wanted == "up" else []
    problems += said.complaints
    problems += [each.problem for each in rules if each.problem and not said.complaints]
    return Service(
        name=path.name,
        state=process.state,
        pid=process.pid,
        uptime=process.seconds,
        wanted=wanted,
        restarts=said.restarts,
        exit=said.last_exit(),
        ready=said.ready,
        says=said.status,
        adopted=said.adopted,
        log=log,
        rules=rules,
        complaints=said.complaints,
        problems=tuple(dict.fromkeys(problems)),
    )


def _process(where: bytes, now: float) -> tuple[Process, Status | None]:
    try:
        ask.knock(where)
        found = ask.look(where)
    except PermissionError:
        # The FIFOs are the supervisor's user's alone.
        return Process("unknown", None, None), None
    except (OSError, StatusError):
        return Process("unsupervised", None, None), None
    state = "up" if found.pid else "down"
    if found.paused and found.pid:
        state = "paused"
    elif found.phase == status.FINISHING:
        state = "finishing"
    return Process(state, found.pid or None, max(0, int(now - found.since / SECOND))), found


def _wanted(where: bytes, found: Status | None) -> str:
    """What the administrator wants: by svc when the service is supervised, else by the file `down`."""
    if found is None or found.want == status.ONCE:
        return "up" if ask.is_normally_up(where) and found is None else "once" if found else "down"
    return "up" if found.want == status.UP else "down"


def _discrepancies(process: Process, wanted: str) -> list[str]:
    if process.state == "unsupervised":
        return ["not supervised"]
    if process.state == "unknown":
        return ["access denied: only the user who runs the tree, and root, see its state"]
    if wanted == "up" and process.state != "up":
        return [f"{process.state}, wanted up"]
    if wanted == "down" and process.state != "down":
        return [f"{process.state}, wanted down"]
    return []


def _rules(path: Path) -> tuple[Rules, ...]:
    try:
        entries = watchfile.parse(atomic.read(os.fsencode(path / "watch"), RULES_LIMIT), SIGNALS)
    except (OSError, watchfile.WatchError):
        # Missing is usual; a watch file that makes no sense is among the supervisor's complaints.
        return ()
    return tuple(
        _compiled(path, os.fsdecode(each.pattern), os.fsdecode(each.action.target))
        for each in entries
        if isinstance(each.action, watchfile.Compile)
    )


def _compiled(path: Path, file: str, target: str) -> Rules:
    where = os.fsencode(path / target)
    try:
        made = os.stat(where).st_mtime
        count = sum(key != NETWORKS for key, _ in cdb.Reader(atomic.read(where, RULES_LIMIT)))
    except FileNotFoundError:
        return Rules(file, target, None, None, f"{target}: not compiled yet")
    except (OSError, cdb.CdbError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        return Rules(file, target, None, None, f"{target}: {why}")
    return Rules(file, target, count, made, "")
