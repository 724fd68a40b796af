"""supervise/report: what does not fit into the 20 bytes of supervise/status, for `svtree status`.

A JSON object, replaced by rename whenever it changes (not synced: after a crash of the machine it is out of date
anyway). It comes up to a twentieth of a second after supervise/status, and there is none yet of a service that has
nothing to tell: then what counts is the status and the defaults. Its keys:
    since       Unix time of the last change of state, in seconds
    restarts    how often the service was started again since its supervision began, adoption included
    exit        how its last run ended: {"code": N}, {"signal": N}, or null while that is unknown
    ready       true or false of a service that says when it is ready, else null
    status      what the service last said of itself (STATUS= of sd_notify), "" if nothing
    backoff     seconds of the pause that its failures have earned it, 0 if none
    adopted     whether the running process was started by an earlier supervisor
    problem     why it cannot be started at present, "" if it can
    complaints  what is wrong with the files it watches, a line each: "tcp.smtp:1: reason"

Read it with `read`, which takes whatever is there and never fails.
"""

from __future__ import annotations

import json

from svtree.formats.record import record
from svtree.supervision.process import Exit
from svtree.system import atomic

NAME = b"supervise/report"
LIMIT = 1 << 20


@record
class Report:
    """One report; the module says what the fields mean."""

    since: float = 0.0
    restarts: int = 0
    exit: dict[str, int] | None = None
    ready: bool | None = None
    status: str = ""
    backoff: float = 0.0
    adopted: bool = False
    problem: str = ""
    complaints: tuple[str, ...] = ()

    def pack(self) -> bytes:
        """The bytes of the file."""
        return json.dumps({name: getattr(self, name) for name in KEYS}).encode() + b"\n"

    def last_exit(self) -> str:
        """How the last run ended, in words: "exit 111", "killed by KILL"; "" if that is unknown."""
        return "" if self.exit is None else exit_words(self.exit)


KEYS = Report.__match_args__


def parse(data: bytes) -> Report:
    """Read a report; what is missing, or not what it should be, has its default."""
    try:
        found = json.loads(data)
    except ValueError:
        return Report()
    if not isinstance(found, dict):
        return Report()
    if isinstance(found.get("complaints"), list):
        found["complaints"] = tuple(found["complaints"])
    return Report(**{name: found[name] for name in KEYS if name in found and _fits(name, found[name])})


def moment(nanoseconds: int) -> float:
    """A time as `since` has it."""
    return round(nanoseconds / 1e9, 3)


def read(service_directory: bytes) -> Report:
    """The report of the service in that directory; an empty one if there is none to read."""
    try:
        return parse(atomic.read(service_directory + b"/" + NAME, LIMIT))
    except OSError:
        return Report()


def exit_words(ended: dict[str, int]) -> str:
    """The value of `exit` in words."""
    return Exit(ended.get("code"), ended.get("signal")).words()


def exit_value(ended: Exit | None) -> dict[str, int] | None:
    """The value of `exit` for a process that ended so."""
    if ended is None:
        return None
    if ended.signal is not None:
        return {"signal": ended.signal}
    return {"code": ended.code or 0}


def _fits(name: str, value: object) -> bool:
    match name:
        case "since" | "backoff":
            return isinstance(value, int | float)
        case "restarts":
            return isinstance(value, int)
        case "exit":
            return isinstance(value, dict) and len(value) == 1 and all(isinstance(each, int) for each in value.values())
        case "ready":
            return value is None or isinstance(value, bool)
        case "adopted":
            return isinstance(value, bool)
        case "complaints":
            return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
        case _:
            return isinstance(value, str)
