"""What a change starts in a process of its own: compiling rules, or a program of the administrator's.

A process, so that no rules file, however large or odd, can stop or enlarge the supervisor. It has a time limit, at the
end of which its whole process group is killed; the first bytes of what it prints are kept, the rest is read and thrown
away. At most JOBS run at once; the others wait for their turn.
"""

from __future__ import annotations

import os
from signal import SIGKILL

from svtree.formats.record import record
from svtree.system import processes
from svtree.system.errors import reason
from svtree.system.loop import READ
from svtree.system.spawn import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from svtree.system.loop import Loop

JOBS = 4
KEPT = 4096


@record
class Ended:
    """How a job ended: its wait status (None: it was not started), whether by our time limit, and what it printed."""

    status: int | None
    late: bool
    output: bytes


@record
class Order:
    """A job to start: the program's path and argv, its directory, the file at its standard input, and its seconds."""

    path: bytes
    argv: tuple[bytes, ...]
    directory: bytes
    source: bytes
    limit: float


class Jobs:
    """Starts processes, a few at a time, and tells how each has ended."""

    def __init__(self, loop: Loop, environ: Mapping[bytes, bytes]) -> None:
        """Every job gets `environ`."""
        self._loop = loop
        self._environ = environ
        self._waiting: list[tuple[Order, Callable[[Ended], None]]] = []
        self._running: dict[_Job, Callable[[Ended], None]] = {}

    def start(self, order: Order, done: Callable[[Ended], None]) -> None:
        """Start a job when it is its turn; `done` is called in the loop, never before this returns."""
        self._waiting.append((order, done))
        self._loop.after(0, self._next)

    def close(self) -> None:
        """Kill and reap what runs; nobody is told."""
        self._waiting.clear()
        for job in list(self._running):
            job.end()
        self._running.clear()

    def _next(self) -> None:
        while self._waiting and len(self._running) < JOBS:
            order, done = self._waiting.pop(0)
            try:
                job = _Job(self._loop, order, self._environ, self._ended)
            except OSError as error:
                done(Ended(None, late=False, output=reason(error).encode()))
                continue
            self._running[job] = done

    def _ended(self, job: _Job, ended: Ended) -> None:
        self._running.pop(job)(ended)
        self._next()


class _Job:
    """One process and the pipe it writes to."""

    def __init__(
        self, loop: Loop, order: Order, environ: Mapping[bytes, bytes], ended: Callable[[_Job, Ended], None]
    ) -> None:
        self._loop = loop
        self._output = b""
        self._late = False
        self._pipe, writer = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(self._pipe, False)
            self._pid = _start(order, writer, environ)
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(writer)
        processes.register(self._pid)
        self._timer = loop.after(order.limit, self._kill)
        try:
            loop.watch(self._pipe, READ, self._read)
            self._exit = loop.on_exit(self._pid, lambda: ended(self, self._reap()))
        except OSError:
            # No descriptor is left for watching it.
            self._kill()
            self._reap()
            raise

    def end(self) -> None:
        """Kill the process and wait for it."""
        self._loop.forget(self._exit)
        os.close(self._exit)
        self._kill()
        self._reap()

    def _kill(self) -> None:
        self._late = True
        try:
            os.killpg(self._pid, SIGKILL)
        except ProcessLookupError:
            return

    def _read(self, _: int) -> None:
        try:
            data = os.read(self._pipe, 65536)
        except BlockingIOError:
            return
        self._output = (self._output + data)[:KEPT]
        if not data:
            self._loop.forget(self._pipe)

    def _reap(self) -> Ended:
        # What was written before the end is in the pipe by now. A grandchild may hold the other end: not waited for.
        self._read(0)
        self._timer.cancel()
        self._loop.forget(self._pipe)
        os.close(self._pipe)
        try:
            _, status = os.waitpid(self._pid, 0)
        except ChildProcessError:
            # SIGCHLD is ignored, or somebody waits for whatever comes: how it ended is lost.
            return Ended(None, self._late, self._output)
        finally:
            processes.release(self._pid)
        return Ended(status, self._late, self._output)


def _start(order: Order, writer: int, environ: Mapping[bytes, bytes]) -> int:
    """Start the process in its directory: posix_spawn inherits ours, so we are there for a moment."""
    home = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    source = -1
    try:
        os.chdir(order.directory)
        source = os.open(order.source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(source, True)
        return spawn(order.path, order.argv, environ, descriptors={0: source, 1: writer, 2: writer}, group=True)
    finally:
        os.fchdir(home)
        os.close(home)
        if source >= 0:
            os.close(source)


def first_line(output: bytes) -> str:
    """What a program said first, fit for one line of a log."""
    line = output.partition(b"\n")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:400]
