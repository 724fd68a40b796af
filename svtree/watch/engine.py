"""Watching services: what changes on disk becomes a restart, a signal, new rules, or a complaint.

The engine joins the pure machine (svtree.watch.machine) with the kernel's hints (hints), with looking at files by
path (looking), and with the processes that compile (jobs, compiling). Everything happens in the loop's thread.

Hints make it quick; what makes it certain is the sweep, a stat of everything every few seconds, which finds what the
kernel does not report: a folder replaced, a file on NFS, whatever came while the queue was full.
"""

from __future__ import annotations

import os

from svtree.system.streams import complain
from svtree.watch.hints import COMING_AND_GOING, OF_THE_DIRECTORY, OVERFLOW, Hints
from svtree.watch.jobs import Jobs
from svtree.watch.looking import Place
from svtree.watch.service import Service, Surroundings
from svtree.watch.slices import Slices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.formats.watchfile import Action
    from svtree.program import Environ
    from svtree.system.loop import Loop, Timer
    from svtree.watch.machine import Complaint

# The seconds between two sweeps: so many times what a sweep takes, so that it costs 0.03 % of a core however many files
# there are, but within these bounds. Without the kernel's hints it is all there is, and may cost 0.5 %.
SHARE, SOONEST, LATEST = 3000, 2.0, 60.0
SHARE_ALONE, SOONEST_ALONE, LATEST_ALONE = 200, 0.2, 5.0
# What comes and goes in a tree within this time is told once.
GATHER = 0.02
# The names in a service directory that decide what is to be supervised.
STRUCTURE = (b"log", b"down", b"run")


class Watcher:
    """Looks after service directories and trees until `close`."""

    def __init__(
        self,
        loop: Loop,
        *,
        act: Callable[[bytes, Action], None],
        report: Callable[[bytes, Sequence[Complaint]], None],
        environ: Environ,
        log: Callable[[str], None] = complain,
        name: str = "svscan",
    ) -> None:
        """Call back in the loop, never from within a call of a method here.

        `act(service, action)` when the service is to be restarted (Restart) or sent a signal (Hangup, Signal);
        `report(service, complaints)` with everything there is to mend in it whenever that changes, empty when mended.
        A new complaint is also a line for `log`: "NAME: warning: SERVICE/FILE:LINE: REASON". `environ` is what tcprules
        and other programs are found and run with.
        """
        self._loop = loop
        self._log = log
        self._name = name
        self._hints = Hints(loop, self._warn)
        self._jobs = Jobs(loop, environ)
        self._slices = Slices(loop)
        self._around = Surroundings(
            loop, self._hints, self._jobs, self._slices, environ, act=act, report=report, warn=self._warn
        )
        self._services: dict[bytes, Service] = {}
        self._trees: dict[bytes, _Tree] = {}
        self._sweeper = loop.after(self._pause(0.0), self._sweep)

    def add(self, service_directory: bytes) -> None:
        """Watch this directory, an absolute path; its files as they are now are what later ones are compared with."""
        if service_directory not in self._services:
            self._services[service_directory] = Service(service_directory, self._around)
            for tree in self._trees.values():
                tree.add(service_directory)

    def remove(self, service_directory: bytes) -> None:
        """Watch it no more."""
        service = self._services.pop(service_directory, None)
        if service is not None:
            service.close()
            for tree in self._trees.values():
                tree.remove(service_directory)

    def tree(self, directory: bytes, changed: Callable[[], None]) -> None:
        """Call `changed` soon after an entry of this directory, or log, down or run in a service of it, came or went.

        And soon after a service was added: what came between the caller's look at it and our watch is so not missed.
        """
        tree = self._trees[directory] = _Tree(directory, changed, self._loop, self._hints)
        for service in self._services:
            tree.add(service)

    def close(self) -> None:
        """Watch nothing more, end and reap the jobs under way, give back every descriptor."""
        self._sweeper.cancel()
        for service in self._services.values():
            service.close()
        for tree in self._trees.values():
            tree.close()
        self._services.clear()
        self._trees.clear()
        self._slices.close()
        self._jobs.close()
        self._hints.close()

    def _sweep(self) -> None:
        before = self._loop.clock.monotonic()
        for service in list(self._services.values()):
            service.glance()
        for tree in list(self._trees.values()):
            tree.glance()
        self._sweeper = self._loop.after(self._pause(self._loop.clock.monotonic() - before), self._sweep)

    def _pause(self, took: float) -> float:
        if self._hints.complete:
            return min(max(took * SHARE, SOONEST), LATEST)
        return min(max(took * SHARE_ALONE, SOONEST_ALONE), LATEST_ALONE)

    def _warn(self, line: str) -> None:
        self._log(f"{self._name}: warning: {line}")


class _Tree:
    """A directory of services: what comes to it and goes from it."""

    def __init__(self, directory: bytes, changed: Callable[[], None], loop: Loop, hints: Hints) -> None:
        self._directory = directory
        self._changed = changed
        self._loop = loop
        self._hints = hints
        self._services: set[bytes] = set()
        self._seen: dict[bytes, tuple[int, int, int] | None] = {}
        self._timer: Timer | None = None
        self._tell_later()

    def add(self, service: bytes) -> None:
        """A service, of this tree or not, is watched."""
        if os.path.dirname(service) == self._directory:
            self._services.add(service)
            self._tell_later()

    def remove(self, service: bytes) -> None:
        """It is watched no more."""
        self._services.discard(service)

    def glance(self) -> None:
        """Look whether the directories have changed, whatever was reported."""
        if any(_signature(path) != seen for path, seen in self._seen.items()):
            self._tell_later()

    def close(self) -> None:
        """Tell nothing more."""
        self._hints.leave(self._hinted)
        if self._timer is not None:
            self._timer.cancel()

    def _hinted(self, events: int) -> None:
        if events & (COMING_AND_GOING | OF_THE_DIRECTORY | OVERFLOW):
            self._tell_later()

    def _tell_later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.after(GATHER, self._tell)

    def _tell(self) -> None:
        # The watches first: what comes after the caller's look at the directories is then reported.
        self._timer = None
        self._seen = {path: _signature(path) for path in (self._directory, *self._services)}
        places: dict[bytes, Place] = {}
        for path, seen in self._seen.items():
            if seen is not None:
                places[path] = Place(seen[:2], None if path == self._directory else STRUCTURE)
        self._hints.want(self._hinted, places)
        self._changed()


def _signature(path: bytes) -> tuple[int, int, int] | None:
    """Device, inode and the time of the last change of a directory's entries; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
