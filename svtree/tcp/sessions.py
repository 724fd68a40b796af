"""Which connections are served, by which process, from where."""

from __future__ import annotations

import os

from svtree.tcp.limits import Census

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from svtree.tcp.limits import Place


class Sessions:
    """By pid; a place that is None is not counted where limits are concerned."""

    def __init__(self) -> None:
        """None so far."""
        self.census = Census()
        self._places: dict[int, Place | None] = {}

    def __len__(self) -> int:
        """How many connections are served."""
        return len(self._places)

    def __contains__(self, pid: int) -> bool:
        """Whether a process serves one."""
        return pid in self._places

    def begin(self, pid: int, here: Place | None) -> None:
        """A process serves a connection from here."""
        self._places[pid] = here
        if here is not None:
            self.census.enter(here)

    def end(self, pid: int) -> None:
        """It does so no more."""
        here = self._places.pop(pid, None)
        if here is not None:
            self.census.leave(here)

    def lost(self) -> Iterator[int]:
        """The pids that are no children of ours any more: their ends were missed."""
        for pid in list(self._places):
            try:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                yield pid
