"""The event loop: descriptors, deadlines, signals and the deaths of processes, in one thread.

Not asyncio: the supervisor and tcpserver start processes, tcpserver forks, and both want to know exactly what runs
when. A callback never blocks; what takes time is a process of its own with a deadline.
"""

from __future__ import annotations

import heapq
import os
import select

from svtree.system.clock import SYSTEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Final

    from svtree.system.clock import Clock
else:
    # The C module: Python's would turn every number into an enum, in each child that tcpserver forks too.
    import _signal as signal

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
GONE: Final = select.EPOLLHUP | select.EPOLLERR


class Timer:
    """A callback that is due at a moment of the loop's monotonic clock, until it is cancelled."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Callable[[], None]) -> None:
        """`due` is in seconds of the loop's clock."""
        self.due = due
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Never call it; safe to say twice, and after it has been called."""
        self.action = None

    def __lt__(self, other: Timer) -> bool:
        """Earlier first."""
        return self.due < other.due


class Loop:
    """Waits for what was asked for and calls back, until `stop`."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        """Opens an epoll descriptor; `close` gives back everything."""
        self.clock = clock
        self._poll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._fresh: set[int] = set()
        self._timers: list[Timer] = []
        self.running = False
        self._signals: dict[int, Callable[[], None]] = {}
        self._previous: dict[int, object] = {}
        self._wakeup: tuple[int, int] | None = None

    def watch(self, descriptor: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(events that happened)` whenever `descriptor` is ready; a second call replaces the first."""
        known = descriptor in self._callbacks
        # Whatever memory this takes it takes before the kernel knows of it.
        self._callbacks[descriptor] = callback
        if known:
            self._poll.modify(descriptor, events)
            return
        try:
            self._fresh.add(descriptor)
            self._poll.register(descriptor, events)
        except (OSError, MemoryError):
            del self._callbacks[descriptor]
            raise

    def forget(self, descriptor: int) -> None:
        """Stop watching. Call before closing: a closed number may be another file's by the next turn."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` once, `seconds` from now."""
        timer = Timer(self.clock.monotonic() + seconds, action)
        heapq.heappush(self._timers, timer)
        return timer

    def on_signal(self, number: int, action: Callable[[], None]) -> None:
        """Call `action` in the loop, not in the signal handler, some time after signal `number` has come."""
        if self._wakeup is None:
            ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            self._wakeup = ends
            signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
            self.watch(ends[0], READ, self._take_signals)
        self._signals[number] = action
        if number not in self._previous:
            self._previous[number] = signal.getsignal(number)
        # The handler does nothing: it is there so that the number is written to the wake-up pipe.
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)

    def on_exit(self, pid: int, callback: Callable[[], None]) -> int:
        """Call `callback` once when process `pid` has ended; it is still to be reaped by its parent.

        Returns the pidfd, which the loop owns and closes. Raises ProcessLookupError if there is no such process.
        """
        descriptor = os.pidfd_open(pid)

        def ended(_: int) -> None:
            self.forget(descriptor)
            os.close(descriptor)
            callback()

        self.watch(descriptor, READ, ended)
        return descriptor

    def run(self) -> None:
        """Turn until `stop` is called."""
        self.start()
        while self.running:
            self.turn()

    def start(self) -> None:
        """Be `running` until `stop` is called, for who turns it himself."""
        self.running = True

    def stop(self) -> None:
        """Let `run` return after the present callback."""
        self.running = False

    def turn(self, at_most: float | None = None) -> None:
        """Wait for something, at most until the next deadline or for `at_most` seconds, and call back for it."""
        ready = self._poll.poll(self._patience(at_most))
        self._fresh.clear()
        for descriptor, events in ready:
            # An earlier callback of this turn may have closed a later one's descriptor, and even have been given its
            # number again: what was seen was seen of the old file.
            callback = self._callbacks.get(descriptor)
            if callback is not None and descriptor not in self._fresh:
                callback(events)
        now = self.clock.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            if timer.action is None:
                continue
            try:
                timer.action()
            except MemoryError:
                # It has not been done; it is due once more. The list has its room already.
                heapq.heappush(self._timers, timer)
                raise

    def close(self) -> None:
        """Give back descriptors and signal handlers; what is watched stays open, for its owner to close."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            for end in self._wakeup:
                os.close(end)
            self._wakeup = None
        self._callbacks.clear()
        self._poll.close()

    def _patience(self, at_most: float | None) -> float:
        while self._timers and self._timers[0].action is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return -1 if at_most is None else at_most
        wait = max(0.0, self._timers[0].due - self.clock.monotonic())
        return wait if at_most is None else min(wait, at_most)

    def _take_signals(self, _: int) -> None:
        assert self._wakeup is not None  # noqa: S101 - watched only while it is there
        try:
            came = os.read(self._wakeup[0], 4096)
        except BlockingIOError:
            return
        try:
            for number in dict.fromkeys(came):
                action = self._signals.get(number)
                if action is not None:
                    action()
        except MemoryError:
            # As if they came once more: a TERM must not be forgotten.
            os.write(self._wakeup[1], came)
            raise
