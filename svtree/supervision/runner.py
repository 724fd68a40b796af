"""The process of one service: starting run and finish, signals, adoption, and the note of it all for a successor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import identity, status
from svtree.formats.identity import Identity
from svtree.supervision import adoption
from svtree.supervision.process import adopt, look_after
from svtree.supervision.voice import Outfit
from svtree.system import procfs
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from svtree.program import Environ
    from svtree.supervision.adoption import Found
    from svtree.supervision.board import Board
    from svtree.supervision.context import Context
    from svtree.supervision.place import Place
    from svtree.supervision.process import Exit, Process

RUN = b"./run"
FINISH = b"./finish"
PLAIN = Outfit((), {}, {})
WANTS = {status.UP: b"u", status.DOWN: b"d", status.ONCE: b"o"}


class Runner:
    """Holds the process, if there is one; `ended` is called when it is over, with how it ended if that is known."""

    def __init__(
        self,
        context: Context,
        place: Place,
        board: Board,
        *,
        streams: Callable[[], Mapping[int, int]],
        ended: Callable[[Exit | None], None],
    ) -> None:
        """`streams` opens what a process gets as 0 and 1 where these are not to be ours; they are closed here."""
        self.process: Process | None = None
        self.phase = status.STOPPED
        self.since = context.loop.clock.wall_ns()
        self._context = context
        self._place = place
        self._board = board
        self._streams = streams
        self._ended = ended
        self._token = b""
        self._written: Identity | None = None

    @property
    def pid(self) -> int:
        """The process, 0 if there is none."""
        return self.process.pid if self.process else 0

    def run(self, outfit: Outfit, want: int) -> None:
        """Start ./run; OSError."""
        self._token = adoption.new_token(self._place)
        # Race: we may be killed between the start and the note of whom we have started. The token, noted before, is
        # in the environment of what is started: a successor finds it there (svtree.supervision.adoption).
        self._write(identity.STARTING, 0, procfs.ticks_now(), want)
        # Through the shell only what can be run: the kernel's reason makes a better message than the shell's.
        before = outfit.before if self._place.may_run(b"run") else ()
        self._launch((*before, RUN), outfit)
        self.phase = status.RUNNING

    def finish(self, ended: Exit | None) -> bool:
        """Start ./finish with exit code and signal as runsv(8) has them; False if there is none that could be started.

        The code is -1 for a process that was killed, or of which nobody knows how it ended.
        """
        if not self._place.may_run(b"finish"):
            return False
        code = -1 if ended is None or ended.code is None else ended.code
        killer = 0 if ended is None or ended.signal is None else ended.signal
        try:
            self._launch((FINISH, b"%d" % code, b"%d" % killer), PLAIN)
        except OSError as error:
            what = b"unable to start " + self._place.name + b"/finish: " + reason(error).encode()
            self._board.warn("finish", b"supervise: warning: " + what)
            return False
        self.phase = status.FINISHING
        return True

    def aside(self, argv: tuple[bytes, ...]) -> int:
        """Start a program that is not the service, with its standard output and in its directory; its pid. OSError."""
        return self._spawn(argv, {adoption.VARIABLE: adoption.service_mark(self._place) + b"aside"}, {})

    def send(self, number: int) -> None:
        """Send a signal to the process, if there is one."""
        if self.process is None:
            return
        try:
            self.process.send(number)
        except OSError as error:
            what = b"unable to signal " + self._place.name + b": " + reason(error).encode()
            self._board.warn("signal", b"supervise: warning: " + what)
        else:
            self._board.well("signal")

    def adopt(self) -> Found | None:
        """Take over what an earlier supervisor has left running."""
        found = adoption.find(self._place, self._context.boot)
        if found is None:
            return None
        self.process = adopt(self._context.loop, found.pid, found.ticks, self._over)
        if self.process is None:
            return None
        self.phase = status.FINISHING if found.phase == identity.FINISH else status.RUNNING
        self._token = found.token
        self.since -= int(procfs.age(found.ticks) * 1e9)
        return found

    def note(self, want: int) -> None:
        """Write down for a successor who runs and what is wanted."""
        if self.process is not None:
            phase = identity.FINISH if self.phase == status.FINISHING else identity.RUN
            self._write(phase, self.process.pid, self.process.ticks, want)

    def forget(self, want: int) -> None:
        """Write down that nothing runs."""
        self._write(identity.NONE, 0, 0, want)

    def abandon(self) -> None:
        """Let the process run on without us."""
        if self.process is not None:
            self.process.abandon()
            self.process = None

    def _launch(self, argv: tuple[bytes, ...], outfit: Outfit) -> None:
        pid = self._spawn(argv, {adoption.VARIABLE: self._token, **outfit.environ}, outfit.descriptors)
        self.process = look_after(self._context.loop, pid, self._over)
        self.since = self._context.loop.clock.wall_ns()

    def _spawn(self, argv: tuple[bytes, ...], environ: Environ, descriptors: Mapping[int, int]) -> int:
        streams = self._streams()
        try:
            return self._context.launch(self._place.directory, argv, environ, {**streams, **descriptors})
        finally:
            for descriptor in streams.values():
                os.close(descriptor)

    def _over(self) -> None:
        process, self.process = self.process, None
        self.phase = status.STOPPED
        self.since = self._context.loop.clock.wall_ns()
        self._ended(process.reap() if process else None)

    def _write(self, phase: bytes, pid: int, ticks: int, want: int) -> None:
        who = Identity(phase, pid, ticks, self._context.boot, WANTS[want], self._token)
        if who == self._written:
            return
        try:
            self._place.note(who)
        except OSError as error:
            shown = self._place.name + b"/supervise/lock: " + reason(error).encode()
            self._board.warn("lock", b"supervise: warning: unable to write " + shown)
            return
        self._written = who
        self._board.well("lock")
