"""Reaping those whom nobody waits for: orphans that a supervisor is given, as PID 1 or as subreaper.

A child that somebody in this process has registered (svtree.system.processes) is left for him to reap by its pid.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.system import processes

if TYPE_CHECKING:
    from svtree.system.loop import Loop, Timer

# A registered child that has ended stands before the orphans until its owner has reaped it, which is a matter of the
# present turn of the loop; in seconds.
SOON = 0.02


class Reaper:
    """Call `sweep` when a child has ended (SIGCHLD)."""

    __slots__ = ("_again", "_loop")

    def __init__(self, loop: Loop) -> None:
        """`loop` is for looking again."""
        self._loop = loop
        self._again: Timer | None = None

    def sweep(self) -> None:
        """Reap every orphan that has ended."""
        while True:
            try:
                # WNOWAIT shows who has ended and leaves it there: to wait for anyone would take children from those
                # who want their exit status.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid in processes.known():
                self._later()
                return
            try:
                os.waitpid(ended.si_pid, os.WNOHANG)
            except ChildProcessError:
                continue

    def close(self) -> None:
        """Look no more."""
        if self._again is not None:
            self._again.cancel()

    def _later(self) -> None:
        if self._again is None or self._again.action is None:
            self._again = self._loop.after(SOON, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        self.sweep()
