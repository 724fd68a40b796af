"""One watched service: its machine, its eye, its jobs, joined."""

from __future__ import annotations

import os
import signal

from svtree.formats.watchfile import Compile, Run, WatchError, parse
from svtree.multicall import search
from svtree.system import atomic
from svtree.system.errors import reason
from svtree.watch.compiling import Compilation
from svtree.watch.jobs import Ended, Order, first_line
from svtree.watch.looking import WATCH, Eye
from svtree.watch.machine import Complaint, Do, Job, Machine, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from svtree.formats.watchfile import Action, Entry
    from svtree.program import Environ
    from svtree.system.loop import Loop, Timer
    from svtree.watch.hints import Hints
    from svtree.watch.jobs import Jobs
    from svtree.watch.slices import Slices

SIGNALS = {number.name.removeprefix("SIG").encode(): number.value for number in signal.Signals}
# A watch file beyond this is none.
LIMIT = 65536
# For a program of the administrator's.
SECONDS = 60.0


class Surroundings:
    """What the services that are watched together share."""

    def __init__(  # noqa: PLR0913 - it is these eight things
        self,
        loop: Loop,
        hints: Hints,
        jobs: Jobs,
        slices: Slices,
        environ: Environ,
        *,
        act: Callable[[bytes, Action], None],
        report: Callable[[bytes, Sequence[Complaint]], None],
        warn: Callable[[str], None],
    ) -> None:
        """`act` and `report` are those of the Watcher; `warn` gets a line about a new complaint."""
        self.loop = loop
        self.hints = hints
        self.jobs = jobs
        self.slices = slices
        self.environ = environ
        self.act = act
        self.report = report
        self.warn = warn


class Service:
    """Looks after one service directory until it is closed."""

    __slots__ = (
        "_around",
        "_closed",
        "_eye",
        "_looking",
        "_machine",
        "_reported",
        "_text",
        "_timer",
        "_warned",
        "directory",
    )

    def __init__(self, directory: bytes, around: Surroundings) -> None:
        """`directory` is an absolute path; its first look comes in the next turn of the loop."""
        self.directory = directory
        self._around = around
        self._eye = Eye(directory, around.loop.clock)
        self._machine = Machine(around.loop.clock.monotonic())
        self._text: bytes | None = None
        self._timer: Timer | None = None
        self._looking = False
        self._closed = False
        self._reported: tuple[Complaint, ...] = ()
        self._warned: dict[bytes, tuple[str, ...]] = {}
        self._arm()

    def hint(self, events: int = 0) -> None:  # noqa: ARG002 - whatever happened, it is time to look
        """Something may have changed."""
        self._machine.hint(self._now())
        self._arm()

    def glance(self) -> None:
        """Look whether there is something to look at, by stat alone."""
        if not self._looking and self._eye.glance():
            self.hint()

    def close(self) -> None:
        """Look no more; jobs under way end by themselves."""
        self._closed = True
        self._around.hints.leave(self.hint)
        if self._timer is not None:
            self._timer.cancel()

    def _now(self) -> float:
        return self._around.loop.clock.monotonic()

    def _arm(self) -> None:
        """See to it that a look begins when one is due; one that is under way re-arms when it has ended."""
        due = self._machine.due
        if due is None or self._looking or self._closed:
            return
        if self._timer is not None:
            if self._timer.action is not None and self._timer.due <= due <= self._timer.due + 0.01:
                return
            self._timer.cancel()
        self._timer = self._around.loop.after(max(0.0, due - self._now()), self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._looking = True
        self._machine.begin()
        self._around.slices.add(self._look())

    def _look(self) -> Iterator[None]:
        """One look, a block at a time."""
        self._read_watch_file()
        entries = self._machine.entries
        # First the kernel is asked for hints, then the files are read: what changes after that is hinted at.
        self._around.hints.want(self.hint, self._eye.places(entries))
        for look in self._eye.look(entries):
            if self._closed:
                return
            if look is not None:
                self._looking = False
                self._perform(self._machine.looked(self._now(), look))
            yield

    def _read_watch_file(self) -> None:
        text, self._text = self._text, None
        try:
            found = atomic.read(self.directory + b"/" + WATCH, LIMIT)
            if len(found) > LIMIT:
                self._machine.misconfigure(Complaint(WATCH, 0, "file too big"))
                return
            if found != text:
                self._machine.configure(parse(found, SIGNALS))
            self._text = found
        except (FileNotFoundError, NotADirectoryError):
            self._machine.configure(())
        except OSError as error:
            self._machine.misconfigure(Complaint(WATCH, 0, reason(error)))
        except WatchError as error:
            self._machine.misconfigure(Complaint(WATCH, error.line, error.reason))

    def _perform(self, steps: Iterable[Job | Do]) -> None:
        self._tell()
        for step in steps:
            if self._closed:
                return
            if isinstance(step, Do):
                self._around.act(self.directory, step.action)
            elif isinstance(step.entry.action, Compile):
                self._compile(step.entry)
            elif isinstance(step.entry.action, Run):
                self._run(step.entry, step.entry.action.argv)
        self._arm()

    def _done(self, entry: Entry, outcome: Outcome) -> None:
        if not self._closed:
            self._perform(self._machine.done(self._now(), entry, outcome))

    def _compile(self, entry: Entry) -> None:
        compilation = Compilation(self.directory, entry)

        def judge(ended: Ended) -> Iterator[None]:
            self._pass_on(entry, compilation.warnings(ended))
            for outcome in compilation.judge(ended):
                if outcome is not None:
                    self._done(entry, outcome)
                yield

        try:
            order = compilation.order(self._around.environ)
        except FileNotFoundError:
            missing = Ended(None, late=False, output=b"file does not exist")
            self._around.slices.add(judge(missing))
            return
        self._around.jobs.start(order, lambda ended: self._around.slices.add(judge(ended)))

    def _pass_on(self, entry: Entry, warnings: tuple[str, ...]) -> None:
        """Warn of lines that compile and are odd: once, and again only if they were mended meanwhile."""
        before = self._warned.get(entry.pattern, ())
        self._warned[entry.pattern] = warnings
        for warning in warnings:
            if warning not in before:
                self._around.warn(f"{self._name()}/{warning}")

    def _run(self, entry: Entry, argv: tuple[bytes, ...]) -> None:
        name = argv[0]
        path = os.path.join(self.directory, name) if b"/" in name else search(name, self._around.environ)
        # What is not on PATH is left for the kernel to name.
        order = Order(path or b"/nonexistent/" + name, argv, self.directory, b"/dev/null", SECONDS)
        self._around.jobs.start(order, lambda ended: self._ran(entry, name, ended))

    def _ran(self, entry: Entry, name: bytes, ended: Ended) -> None:
        why = _failure(name.decode("utf-8", "surrogateescape"), ended)
        complaint = Complaint(entry.pattern, 0, why) if why else None
        self._done(entry, Outcome(changed=True, complaint=complaint))

    def _tell(self) -> None:
        """Report what there is to mend if that is not what was reported last; warn of what is new."""
        complaints = self._machine.complaints
        if complaints == self._reported:
            return
        before, self._reported = self._reported, complaints
        for complaint in complaints:
            if complaint not in before:
                self._around.warn(f"{self._name()}/{complaint.text}")
        self._around.report(self.directory, complaints)

    def _name(self) -> str:
        """What the service is called in warnings."""
        name = os.path.basename(self.directory)
        if name == b"log":
            name = os.path.basename(os.path.dirname(self.directory)) + b"/log"
        return name.decode("utf-8", "surrogateescape")


def _failure(name: str, ended: Ended) -> str:
    """In words why a program of the administrator's did not succeed; empty if it did."""
    said = first_line(ended.output)
    if ended.late:
        return f"{name} did not end within {SECONDS:.0f} seconds"
    if ended.status is None:
        return f"unable to run {name}: {said or 'its exit status is lost'}"
    code = os.waitstatus_to_exitcode(ended.status)
    if not code:
        return ""
    how = f"{name} exited {code}" if code > 0 else f"{name} was killed by signal {-code}"
    return f"{how}: {said}" if said else how
