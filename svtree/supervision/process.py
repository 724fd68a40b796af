"""One process of a service, ours or adopted: signals go to it and to no other, its end is seen once.

Everything goes through a pidfd, so that a pid that has become somebody else's is never signalled.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from svtree.formats.record import record
from svtree.system import processes, procfs

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.system.loop import Loop


@record
class Exit:
    """How a process ended: its exit code, or the number of the signal that killed it."""

    code: int | None
    signal: int | None

    def words(self) -> str:
        """As people say it: "exit 111", "killed by KILL"."""
        if self.signal is None:
            return f"exit {self.code}"
        return f"killed by {signal_name(self.signal)}"

    @property
    def failed(self) -> bool:
        """Whether this is not success."""
        return self.code != 0


def signal_name(number: int) -> str:
    """The name of a signal without its SIG."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"signal {number}"


def signal_number(word: bytes) -> int | None:
    """The signal that a number, TERM or SIGTERM stands for; None if there is no such signal."""
    if word.isdigit():
        number = int(word)
        return number if number in signal.valid_signals() else None
    name = word.decode("ascii", "replace").upper()
    found = getattr(signal, name if name.startswith("SIG") else "SIG" + name, None)
    return int(found) if isinstance(found, signal.Signals) else None


class Process:
    """A running process. `ended` is called once, in the loop, when it has ended; then `reap` says how."""

    __slots__ = ("_ended", "_loop", "_pidfd", "_waiting", "adopted", "pid", "ticks")

    def __init__(self, loop: Loop, pid: int, ended: Callable[[], None], *, adopted: bool = False) -> None:
        """Watch `pid`; ProcessLookupError if it is gone, which a child of ours that nobody reaped is not."""
        self.pid = pid
        self.adopted = adopted
        self._loop = loop
        self._ended = ended
        self._waiting = True
        self._pidfd = loop.on_exit(pid, self._over)
        seen = procfs.look(pid)
        self.ticks = seen.ticks if seen else 0

    def send(self, number: int) -> None:
        """Send a signal; one that has ended needs none. PermissionError if it has become another user's."""
        if not self._waiting:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def reap(self) -> Exit | None:
        """How it ended; None if it is somebody else's child, of whom nobody tells us."""
        try:
            pid, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            return None
        finally:
            processes.release(self.pid)
        assert pid == self.pid  # noqa: S101 - waitpid on one pid
        if os.WIFSIGNALED(status):
            return Exit(None, os.WTERMSIG(status))
        return Exit(os.WEXITSTATUS(status), None)

    def abandon(self) -> None:
        """Let it run on and think of it no more."""
        if self._waiting:
            self._waiting = False
            self._loop.forget(self._pidfd)
            os.close(self._pidfd)
            processes.release(self.pid)

    def _over(self) -> None:
        # The loop has closed the pidfd.
        self._waiting = False
        self._ended()


def look_after(loop: Loop, pid: int, ended: Callable[[], None]) -> Process:
    """Watch a child that has just been started. OSError, and it is no more, where that cannot be."""
    processes.register(pid)
    try:
        return Process(loop, pid, ended)
    except OSError:
        # No descriptor left to see its end by: a process that nobody looks after is worse than none.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        processes.release(pid)
        raise


def adopt(loop: Loop, pid: int, ticks: int, ended: Callable[[], None]) -> Process | None:
    """Watch a process that another supervisor started; None if it is not there any more.

    Race: the process may end, and its pid become another's, between any look at /proc and the opening of the pidfd.
    So the pidfd comes first and the start time is compared after: what the pidfd then stands for is what was meant.
    """
    try:
        process = Process(loop, pid, ended, adopted=True)
    except OSError:
        return None
    seen = procfs.look(pid)
    if seen is None or seen.ticks != ticks or seen.state in (b"Z", b"X"):
        process.abandon()
        return None
    return process
