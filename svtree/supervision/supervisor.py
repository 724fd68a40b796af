"""The engine: one process, one loop, any number of services. `svscan`, `supervise` and `svtree run` are thin over it.

    loop = Loop()
    supervisor = Supervisor(loop, environ, announce=..., complain=...)
    supervisor.scan(directory)          # a tree, or: supervisor.supervise(directory, name), one service
    supervisor.run()                    # until TERM or INT has taken everything down; HUP looks at the tree anew
    supervisor.close(); loop.close()

`announce(service name, sentence)` is called for what comes to pass: `up (pid 123)`, `adopted (pid 123)`, `ready`,
`exit 1 after 3 seconds`, `keeps failing; next start in 8 seconds`. `complain(line)` is called with what is wrong, in
the originals' words; by default that goes to standard error. `supervisor.take_down()` does what TERM does.

It is meant to be PID 1 too, and it never ends because of a service. A supervisor above it, systemd say, is told how it
is, and keeps what the services store (svtree.supervision.above).
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from typing import TYPE_CHECKING

from svtree.formats.watchfile import Hangup, Restart, Signal
from svtree.supervision import context
from svtree.supervision.adoption import service_mark
from svtree.supervision.hunt import Hunt, strays
from svtree.supervision.place import Place, PlaceError
from svtree.supervision.reaper import Reaper
from svtree.supervision.service import Service
from svtree.supervision.tree import Tree
from svtree.system import descriptors, linux
from svtree.system.streams import complain_if_heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from svtree.formats.watchfile import Action
    from svtree.program import Environ
    from svtree.system.loop import Loop
    from svtree.watch.engine import Watcher
    from svtree.watch.machine import Complaint

# The slow look at the tree, in seconds (daemontools' svscan); changes that are watched are seen at once.
RESCAN = 5.0
# After an error that nobody foresaw, in seconds.
PAUSE = 1.0


class Supervisor:
    """One supervisor in this process; the present directory stays what it is."""

    def __init__(
        self,
        loop: Loop,
        environ: Environ,
        *,
        announce: Callable[[bytes, str], None] = lambda _, __: None,
        complain: Callable[[bytes], None] = complain_if_heard,
    ) -> None:
        """Takes signals (TERM, INT, HUP, CHLD) of the whole process and is the parent of orphans from now on."""
        descriptors.ensure_standard()
        linux.become_subreaper()
        self._loop = loop
        self._environ = environ
        self._complain = complain
        self._context = context.make(loop, environ, announce, complain)
        self._reaper = Reaper(loop)
        self._tree: Tree | None = None
        self._single: Service | None = None
        self._watcher: Watcher | None = None
        self._watched: set[bytes] = set()
        self._leaving = False
        self._marks: list[bytes] = []
        self._sessions: set[int] = set()
        loop.on_signal(signal.SIGCHLD, self._reaper.sweep)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.on_signal(number, self.take_down)
        loop.on_signal(signal.SIGHUP, self.rescan)

    def scan(self, directory: bytes) -> None:
        """Supervise every service in `directory`, an absolute path, now and as they come."""
        self._tree = Tree(self._context, directory, appeared=self._appeared, left=self._left)
        self._tree.rescan()
        self._started()
        # watchdog takes longer to import than a service to start: the tree comes up first.
        self._loop.after(0.0, self._begin_watching)

    def supervise(self, directory: bytes, name: bytes) -> None:
        """Supervise the one service in `directory`, an absolute path, which messages call `name`; PlaceError.

        `run` returns when it has been told to exit and has done so.
        """
        place = Place(directory, name)
        self._single = Service(self._context, place, path=directory, streams=dict, gone=self._single_gone)
        try:
            self._single.begin()
        except PlaceError:
            self._single.close()
            raise
        self._started()
        self._appeared(directory)
        self._loop.after(0.0, self._begin_watching)

    def run(self) -> None:
        """Turn the loop until all has been taken down."""
        while True:
            try:
                self._loop.run()
            except Exception as error:  # noqa: BLE001 - a defect in what concerns one service must not end the others
                where = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
                self._say(f"svscan: warning: internal error: {what}")
                # What failed may fail again at once.
                time.sleep(PAUSE)
            else:
                return

    def rescan(self) -> None:
        """Look at the tree now."""
        if self._tree is not None:
            self._tree.rescan()

    def take_down(self) -> None:
        """Take everything down in order, then let `run` return; nothing the second time."""
        if self._leaving:
            return
        self._leaving = True
        self._context.above.stopping()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._tree is not None:
            self._tree.take_down(self._loop.stop)
        elif self._single is not None:
            self._marks = [service_mark(self._single.place)]
            self._sessions = {self._single.runner.pid} - {0}
            self._single.take_down()

    def services(self) -> Iterator[tuple[bytes, Service]]:
        """Every service and logger that is supervised, with its name."""
        if self._tree is not None:
            yield from self._tree.services()
        elif self._single is not None:
            yield self._single.place.name, self._single

    def close(self) -> None:
        """Give back everything; a service that still runs goes on, for the next supervisor to find."""
        if self._watcher is not None:
            self._watcher.close()
        if self._tree is not None:
            self._tree.close()
        if self._single is not None:
            self._single.close()
        self._reaper.close()
        self._context.close()

    def _single_gone(self) -> None:
        """`svc -x` leaves alone what its process has left behind, as the original does; TERM ends it all."""
        if self._leaving:
            Hunt(self._loop, lambda: strays(self._marks, self._sessions), self._loop.stop, self._complain)
        else:
            self._loop.stop()

    def _started(self) -> None:
        self._forget_others()
        self._context.above.ready()
        self._loop.after(RESCAN, self._tick)

    def _forget_others(self) -> None:
        """What was handed down to us for services that are not here is for nobody."""
        if self._tree is not None:
            self._context.above.forget_others([pair.name for pair in self._tree.pairs.values()])
        elif self._single is not None:
            self._context.above.forget_others([self._single.place.name])

    def _tick(self) -> None:
        if self._tree is not None:
            self._tree.tick()
        elif self._single is not None:
            self._single.catch_up()
        self._forget_others()
        self._loop.after(RESCAN, self._tick)

    def _begin_watching(self) -> None:
        if self._leaving:
            return
        from svtree.watch.engine import Watcher

        self._watcher = Watcher(self._loop, act=self._act, report=self._note, environ=self._environ, log=self._say)
        for directory in self._watched:
            self._watcher.add(directory)
        if self._tree is not None:
            self._watcher.tree(self._tree.directory, self.rescan)

    def _appeared(self, directory: bytes) -> None:
        self._watched.add(directory)
        if self._watcher is not None:
            self._watcher.add(directory)

    def _left(self, directory: bytes) -> None:
        self._watched.discard(directory)
        if self._watcher is not None:
            self._watcher.remove(directory)

    def _act(self, directory: bytes, action: Action) -> None:
        """A watched file has changed."""
        service = self._service(directory)
        if service is None:
            return
        match action:
            case Restart():
                service.restart()
            case Hangup():
                service.runner.send(signal.SIGHUP)
            case Signal(number=number):
                service.runner.send(number)

    def _note(self, directory: bytes, complaints: Sequence[Complaint]) -> None:
        service = self._service(directory)
        if service is not None:
            service.note(tuple(each.text for each in complaints))

    def _service(self, directory: bytes) -> Service | None:
        if self._tree is None:
            return self._single
        pair = self._tree.find(directory)
        return None if pair is None else pair.service

    def _say(self, line: str) -> None:
        self._complain(line.encode("utf-8", "surrogateescape"))
