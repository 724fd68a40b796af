"""What a supervisor shows of one service: supervise/status, supervise/report, and its warnings, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from svtree.supervision import report
from svtree.system import atomic
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.formats.status import Status
    from svtree.supervision.place import Place
    from svtree.supervision.report import Report

STATUS = b"supervise/status"


class Board:
    """Files that are written when what they say has changed, and warnings that are given when they are new."""

    __slots__ = ("_complain", "_given", "_place", "_written")

    def __init__(self, place: Place, complain: Callable[[bytes], None]) -> None:
        """`complain` takes a whole line without its newline."""
        self._place = place
        self._complain = complain
        self._written: dict[bytes, bytes] = {}
        self._given: dict[str, bytes] = {}

    def show(self, status: Status, said: Report) -> None:
        """Bring both files up to date; what cannot be written now is tried again at the next call."""
        # Who waits for a status and then reads the report finds the one that goes with it.
        self._put(report.NAME, said.pack())
        self._put(STATUS, status.pack())

    @property
    def behind(self) -> bool:
        """Whether a file could not be written at the last try."""
        return len(self._written) < 2

    def recall(self) -> Report:
        """The report that an earlier supervisor left."""
        return report.read(self._place.base[:-1])

    def warn(self, kind: str, line: bytes) -> None:
        """Give a warning, unless it is the last one of its kind over again."""
        if self._given.get(kind) != line:
            self._given[kind] = line
            self._complain(line)

    def well(self, kind: str) -> None:
        """What a warning of this kind was about is over: the next one is news."""
        self._given.pop(kind, None)

    def _put(self, name: bytes, data: bytes) -> None:
        if self._written.get(name) == data:
            return
        path = self._place.base + name
        try:
            # Not synced: after a crash of the machine there is no process that these files could be about.
            atomic.write(path, data, temporary=path + b".new", durable=False)
        except OSError as error:
            self._written.pop(name, None)
            shown = self._place.name + b"/" + name + b".new: " + reason(error).encode()
            self.warn("write", b"supervise: warning: unable to write " + shown)
            return
        self._written[name] = data
        self.well("write")
