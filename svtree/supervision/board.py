"""What a supervisor shows of one service: supervise/status, supervise/report, and its warnings, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from svtree.supervision import report
from svtree.supervision.report import Report
from svtree.system import atomic
from svtree.system.errors import reason

if TYPE_CHECKING:
    from svtree.formats.status import Status
    from svtree.supervision.context import Context
    from svtree.supervision.place import Place
    from svtree.system.loop import Timer

STATUS = b"supervise/status"
# The report waits this long, in seconds, so that what happens at once is written at once; status does not wait.
SOON = 0.05


class Board:
    """Files that are written when what they say has changed, and warnings that are given when they are new."""

    __slots__ = ("_context", "_given", "_place", "_report", "_timer", "_written")

    def __init__(self, context: Context, place: Place) -> None:
        """Nothing is shown yet."""
        self._context = context
        self._place = place
        self._report = Report()
        self._timer: Timer | None = None
        self._written: dict[bytes, bytes | None] = {STATUS: None, report.NAME: b""}
        self._given: dict[str, bytes] = {}

    @property
    def behind(self) -> bool:
        """Whether a file could not be written at the last try."""
        return None in self._written.values()

    def show(self, status: Status, said: Report) -> None:
        """Bring both files up to date; what cannot be written now is tried again at the next call."""
        self._put(STATUS, status.pack())
        self._report = said
        if self._timer is None:
            self._timer = self._context.loop.after(SOON, self.show_report)

    def show_report(self) -> None:
        """Bring the report up to date now. One that says nothing but when is not made: most services never need one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._written[report.NAME] != b"" or self._report != Report(since=self._report.since):
            self._put(report.NAME, self._report.pack())

    def recall(self) -> Report:
        """The report that an earlier supervisor left."""
        return report.read(self._place.base[:-1])

    def wipe(self) -> None:
        """Remove that report: it is about a process that is no more."""
        try:
            atomic.discard(self._place.base + report.NAME)
        except OSError:
            # It will be replaced in any case.
            self._written[report.NAME] = None

    def warn(self, kind: str, line: bytes) -> None:
        """Give a warning, unless it is the last one of its kind over again."""
        if self._given.get(kind) != line:
            self._given[kind] = line
            self._context.complain(line)

    def well(self, kind: str) -> None:
        """What a warning of this kind was about is over: the next one is news."""
        self._given.pop(kind, None)

    def close(self) -> None:
        """Show the last of it."""
        if self._timer is not None:
            self.show_report()

    def _put(self, name: bytes, data: bytes) -> None:
        if self._written[name] == data:
            return
        path = self._place.base + name
        try:
            # Not synced: after a crash of the machine there is no process that these files could be about.
            atomic.write(path, data, temporary=path + b".new", durable=False)
        except OSError as error:
            self._written[name] = None
            shown = self._place.name + b"/" + name + b".new: " + reason(error).encode()
            self.warn(f"write {path!r}", b"supervise: warning: unable to write " + shown)
            return
        self._written[name] = data
        self.well(f"write {path!r}")
