"""Ending what is left of a service when its own process has ended: descendants, wherever they have got to.

A descendant is known by the session its service began, by the token in its environment (svtree.supervision.adoption),
or by being ours: orphans are given to us. One that shed all three, and runs as a user whose environment we may not
read, is not found; no supervisor without a cgroup finds it.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from svtree.supervision.adoption import VARIABLE
from svtree.system import processes, procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from svtree.system.loop import Loop

# Seconds between two looks, from TERM to KILL, and until we give up.
EVERY = 0.05
PATIENCE = 5.0
LIMIT = 10.0


class Hunt:
    """TERM for all that `find` finds, KILL when it has had its time; `over` is called when nothing is left."""

    def __init__(
        self,
        loop: Loop,
        find: Callable[[], Collection[int]],
        over: Callable[[], None],
        complain: Callable[[bytes], None],
    ) -> None:
        """Begins at once."""
        self._loop = loop
        self._find = find
        self._over = over
        self._complain = complain
        self._told: set[int] = set()
        self._began = loop.clock.monotonic()
        self._look()

    def _look(self) -> None:
        left = self._find()
        lasted = self._loop.clock.monotonic() - self._began
        if not left:
            self._over()
            return
        if lasted > LIMIT:
            numbers = b" ".join(b"%d" % pid for pid in sorted(left))
            self._complain(b"svscan: warning: unable to end processes " + numbers)
            self._over()
            return
        for pid in left:
            # Race: a pid found a moment ago may be another process's by now. A pidfd opened here would be no better,
            # and the kernel gives a pid out again only after all others.
            if lasted > PATIENCE:
                _send(pid, signal.SIGKILL)
            elif pid not in self._told:
                self._told.add(pid)
                _send(pid, signal.SIGTERM)
                _send(pid, signal.SIGCONT)
        self._loop.after(EVERY, self._look)


def strays(marks: Collection[bytes], sessions: Collection[int]) -> list[int]:
    """The processes of services that have ended: by the beginning of their tokens, or by the sessions they led."""
    everybody = [process for process in procfs.everybody() if process.state not in (b"Z", b"X")]
    # Its leader has ended: a session that has one is another's, which was given the number anew.
    led = {process.session for process in everybody if process.session == process.pid}
    left = {session for session in sessions if session not in led}
    return [
        process.pid
        for process in everybody
        if process.pid != os.getpid() and (process.session in left or _has_token(process.pid, tuple(marks)))
    ]


def _has_token(pid: int, marks: tuple[bytes, ...]) -> bool:
    # Where there are no marks nothing begins with one.
    return procfs.environment(pid).get(VARIABLE, b"").startswith(marks)


def orphans() -> list[int]:
    """All that descends from us and that nobody here waits for."""
    parents = {process.pid: process for process in procfs.everybody()}
    known = processes.known()
    return [
        pid
        for pid, process in parents.items()
        if process.state not in (b"Z", b"X") and pid not in known and _descends(pid, parents)
    ]


def _descends(pid: int, parents: dict[int, procfs.Process]) -> bool:
    seen = 0
    while pid in parents and seen < len(parents):
        pid = parents[pid].parent
        if pid == os.getpid():
            return True
        seen += 1
    return False


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        # Gone, or not ours to end: what is still found at the end is complained about.
        return
