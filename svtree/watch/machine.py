"""What a change on disk becomes: the pure part of watching, one machine for each service.

Hints come in storms and say little: one save in an editor is 25 of them, a `touch` is one, a lost one is none. So a
hint only makes the machine ask for a look (`due`). The driver looks, and tells the machine what every file holds; the
machine compares that with what it last acted on, and answers with steps: jobs to start, and what to do to the service.

    hints ... quiet -> look -> Job(compile) ... done -> look -> Do(restart)

Four rules, each the cure of something:

- A look waits until it has been quiet for QUIET seconds, since an editor has not finished while it writes; but at most
  AT_MOST seconds, or an endless storm would keep a change from ever taking effect.
- A file that is suddenly gone or empty is given PATIENCE seconds to come back: it is probably being written, and no
  rules at all is the most generous set of rules.
- What is done to the service waits for jobs that are under way, so that one save of rules and environment together is
  one restart.
- What is needed (the source of rules, their cdb, the run script) and is gone, is a complaint and no action.

Time is seconds of any clock that never goes back. Nothing here reads a file or knows a process.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.watchfile import Compile, Entry, Restart, Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from svtree.formats.watchfile import Action

    # What a path holds: a mark that is another for another content (b"" for an empty file), None where there is no
    # file, or, as text, why it cannot be read.
    Content: TypeAlias = bytes | str | None
    Found: TypeAlias = Mapping[bytes, Content]
    Key: TypeAlias = tuple[bytes, Action]

QUIET = 0.08
AT_MOST = 0.3
PATIENCE = 1.0
# Until a job that failed for want of memory, disk space or the like is tried again.
RETRY = 10.0
RUN = b"run"


@record
class Complaint:
    """What an administrator has to mend: a file of the service, the line in it (0 for the whole), and why."""

    file: bytes
    line: int
    reason: str

    @property
    def text(self) -> str:
        """The complaint in one line, "tcp.smtp:3: missing closing quote"."""
        place = self.file.decode("utf-8", "surrogateescape") + (f":{self.line}" if self.line else "")
        return f"{place}: {self.reason}"


@record
class Job:
    """To do now, in a process of its own: this entry's compilation or program; `done` is told the outcome."""

    entry: Entry


@record
class Do:
    """To do to the service, now."""

    action: Action


@record
class Outcome:
    """How a job ended: whether files may be others now, what there is to mend, and whether to try again by itself."""

    changed: bool
    complaint: Complaint | None = None
    temporary: bool = False


@record
class Look:
    """What was found: for each entry the paths it matches and what they hold, and which cdbs there is work to do for.

    `missing` are the Compile entries that have no cdb, `older` those whose cdb is older than their rules.
    """

    found: Mapping[Entry, Found]
    missing: frozenset[Entry]
    older: frozenset[Entry]


class Machine:
    """One service's watching."""

    # There may be thousands of machines in one supervisor.
    __slots__ = (
        "_acted",
        "_again",
        "_broken",
        "_doubts",
        "_failed",
        "_first",
        "_held",
        "_needed",
        "_retries",
        "_running",
        "_unseen",
        "due",
        "entries",
    )

    def __init__(self, now: float) -> None:
        """Begins with no entries and a look that is due at once."""
        self.entries: tuple[Entry, ...] = ()
        self.due: float | None = now
        self._needed: tuple[bytes, ...] = ()
        self._first: float | None = None
        self._acted: dict[Key, dict[bytes, bytes | str]] = {}
        self._doubts: dict[tuple[Key, bytes], float] = {}
        self._running: frozenset[Key] = frozenset()
        self._again: frozenset[Key] = frozenset()
        self._retries: dict[Key, float] = {}
        self._held: list[Action] = []
        self._broken: Complaint | None = None
        self._unseen: dict[Key, tuple[Complaint, ...]] = {}
        self._failed: dict[Key, Complaint] = {}

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """Everything there is to mend, in the order of the watch file, each once."""
        found: list[Complaint] = [self._broken] if self._broken else []
        for entry in self.entries:
            found += self._unseen.get(key_of(entry), ())
            if key_of(entry) in self._failed:
                found.append(self._failed[key_of(entry)])
        return tuple(dict.fromkeys(found))

    def configure(self, entries: Sequence[Entry]) -> None:
        """The watch file says this now. What was watched before keeps what is known of it."""
        self.entries = tuple(entries)
        self._broken = None
        compiled = [entry for entry in entries if isinstance(entry.action, Compile)]
        sources = [entry.pattern for entry in compiled]
        targets = [entry.action.target for entry in compiled if isinstance(entry.action, Compile)]
        self._needed = (RUN, *sources, *targets)
        keys = {key_of(entry) for entry in entries}
        self._acted = {key: files for key, files in self._acted.items() if key in keys}
        self._unseen = {key: complaints for key, complaints in self._unseen.items() if key in keys}
        self._failed = {key: complaint for key, complaint in self._failed.items() if key in keys}
        self._retries = {key: moment for key, moment in self._retries.items() if key in keys}
        self._again &= keys

    def misconfigure(self, complaint: Complaint) -> None:
        """The watch file makes no sense: what it said before stays in force."""
        self._broken = complaint

    def hint(self, now: float) -> None:
        """Something may have changed."""
        if self._first is None:
            self._first = now
        # A look that is due already is not put off.
        if self.due is None or self.due > now:
            self.due = min(now + QUIET, self._first + AT_MOST)

    def begin(self) -> None:
        """A look begins: whatever is hinted at from now on asks for another one."""
        self._first = self.due = None

    def looked(self, now: float, look: Look) -> list[Job | Do]:
        """A look has ended, at files that may have been read any time since it began."""
        steps: list[Job | Do] = []
        for entry in self.entries:
            if entry in look.found and self._acts(entry, look, now):
                steps += self._trigger(entry)
        if self._retries:
            self._look_by(min(self._retries.values()))
        return steps + self._release()

    def done(self, now: float, entry: Entry, outcome: Outcome) -> list[Job | Do]:
        """A job has ended."""
        key = key_of(entry)
        self._running -= {key}
        self._failed.pop(key, None)
        known = any(key_of(each) == key for each in self.entries)
        if outcome.complaint is not None and known:
            self._failed[key] = outcome.complaint
        if outcome.temporary and known:
            self._retries[key] = now + RETRY
            self._look_by(now + RETRY)
        if outcome.changed:
            # What we have renamed ourselves nobody is still writing: no need for quiet.
            self._look_by(now)
        if key in self._again:
            self._again -= {key}
            return self._trigger(entry)
        # With a look due, that look releases what waits, together with what it finds.
        return [] if outcome.changed else self._release()

    def _acts(self, entry: Entry, look: Look, now: float) -> bool:
        """Whether this entry's action is to be taken; takes note of what it then has acted on."""
        key, found = key_of(entry), look.found[entry]
        self._unseen[key] = self._unseen_of(entry, found)
        before = self._acted.get(key)
        # A file that cannot be read is as it was: what it holds is not known.
        seen = {path: (before or {}).get(path) if isinstance(mark, str) else mark for path, mark in found.items()}
        after = {path: mark for path, mark in seen.items() if mark is not None}
        if before is None:
            self._acted[key] = after
            return (entry in look.missing or entry in look.older) and self._is_there(entry, found)
        if self._wait(key, before, after, now):
            return False
        if before != after:
            if entry.pattern in self._needed and not self._is_there(entry, found):
                return False
            self._acted[key] = after
            return True
        if self._retries.get(key, now + 1) <= now:
            return True
        idle = key not in self._running and key not in self._failed
        return entry in look.missing and idle and self._is_there(entry, found)

    def _wait(self, key: Key, before: Found, after: Found, now: float) -> bool:
        """Whether something that is gone or empty may still come back; then another look is due."""
        doubtful = {path for path in before if before[path] and not after.get(path)}
        for doubt in [doubt for doubt in self._doubts if doubt[0] == key and doubt[1] not in doubtful]:
            del self._doubts[doubt]
        waiting = False
        for path in doubtful:
            since = self._doubts.setdefault((key, path), now)
            waiting = waiting or now - since < PATIENCE
        if waiting:
            self._look_by(now + PATIENCE / 10)
        return waiting

    def _trigger(self, entry: Entry) -> list[Job | Do]:
        key = key_of(entry)
        if isinstance(entry.action, Compile | Run):
            if key in self._running:
                self._again |= {key}
                return []
            self._retries.pop(key, None)
            self._running |= {key}
            return [Job(entry)]
        if entry.action not in self._held:
            self._held.append(entry.action)
        return []

    def _release(self) -> list[Job | Do]:
        """What is to be done to the service, unless a job may still add to it."""
        if self._running or not self._held:
            return []
        held, self._held = self._held, []
        # A process that is ended anyway needs no signal before.
        return [Do(Restart())] if Restart() in held else [Do(action) for action in held]

    def _look_by(self, moment: float) -> None:
        self.due = moment if self.due is None else min(self.due, moment)

    def _is_there(self, entry: Entry, found: Found) -> bool:
        return isinstance(found.get(entry.pattern), bytes)

    def _unseen_of(self, entry: Entry, found: Found) -> tuple[Complaint, ...]:
        unseen = [Complaint(path, 0, mark) for path, mark in found.items() if isinstance(mark, str)]
        # That a cdb is missing is said by whatever cannot make it.
        sources = (RUN, entry.pattern if isinstance(entry.action, Compile) else RUN)
        if entry.pattern in sources and found.get(entry.pattern) is None:
            unseen.append(Complaint(entry.pattern, 0, "file does not exist"))
        return tuple(unseen)


def key_of(entry: Entry) -> Key:
    """What makes two lines the same, in whatever place of the file they stand."""
    return entry.pattern, entry.action
