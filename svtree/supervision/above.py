"""The supervisor above ours, systemd say, by sd_notify(3): told how we are, and keeper of what our services store.

A descriptor that a service stores with us (svtree.supervision.store) is stored above too, under the name
`service/name`. It comes back when we are started anew, killed or restarted, and goes into that service's store before
anything is started: so a listening socket outlives our end as well, and its clients wait. What is to be kept above is
state, not a message: told as it changes, all of it again where another supervisor has taken the first one's place,
and never waited for.

In a name, bytes of a service that sd_notify has no room for are %XX. One too long even so stays with us alone.

Race: killed between a service's message and ours to the one above, we leave it with nothing to keep. tcpserver sends
its socket to every supervisor that is new to it, within a second; if it is started anew in that second it binds anew.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from svtree.supervision.store import LONGEST_NAME, file_of
from svtree.system import notify
from svtree.system.loop import WRITE
from svtree.system.sockets import inherited

if TYPE_CHECKING:
    from collections.abc import Collection

    from svtree.program import Environ
    from svtree.system.loop import Loop

    # Service and name as the one above knows them together, and which file it is.
    Key = tuple[bytes, tuple[int, int]]

READY, STOPPING, ALIVE = b"READY=1", b"STOPPING=1", b"WATCHDOG=1"
STORE, REMOVE = b"FDSTORE=1\nFDNAME=", b"FDSTOREREMOVE=1\nFDNAME="
# How often to look whether it is still the same one, and at least to show that the loop turns, in seconds.
INTERVAL = 5.0
SEPARATOR = b"/"
# Beside these, what is printable ASCII stands for itself.
QUOTED = b"%/:"
MICROSECONDS = 1e6


class Above:
    """Our side of it. Without $NOTIFY_SOCKET there is nobody, and nothing is told or kept."""

    def __init__(self, loop: Loop, environ: Environ) -> None:
        """Takes what is handed down by $LISTEN_FDS; call before anything is opened that could be taken for it."""
        self._loop = loop
        self._notifier = notify.from_environment(environ)
        # Twice within the time in which it wants to hear of us, as sd_watchdog_enabled(3) has it.
        self._allowed = _watchdog(environ)
        self._interval = min(INTERVAL, (self._allowed or 2 * INTERVAL) / 2)
        self._down = inherited(environ, of_any_kind=True)
        self._kept: dict[Key, int] = {}
        self._queue: deque[tuple[bytes, Key | None]] = deque()
        self._waiting = -1
        self._ready = False
        self._stopping = False
        if self._notifier is not None:
            loop.after(self._interval, self._tick)

    def ready(self) -> None:
        """Everything has been started."""
        self._ready = True
        self._tell(READY)

    def stopping(self) -> None:
        """Everything is being taken down. What is kept stays kept: there may be a next one of us."""
        self._stopping = True
        self._tell(STOPPING)

    def shelf(self, service: bytes) -> Shelf:
        """Where the descriptors of one service are kept."""
        return Shelf(self, quote(service) + SEPARATOR)

    def forget_others(self, services: Collection[bytes]) -> None:
        """Have what was handed down for none of these services, and was not asked for, kept no longer.

        A socket that nobody will ever accept from would leave its clients waiting.
        """
        if not self._down:
            return
        theirs = tuple(quote(service) + SEPARATOR for service in services)
        others = [each for each in self._down if not each.name.startswith(theirs)]
        self._down = [each for each in self._down if each.name.startswith(theirs)]
        for name in {each.name for each in others}:
            self._tell(REMOVE + name)
        for each in others:
            os.close(each.descriptor)

    def close(self) -> None:
        """Say what is left to say, if it can be said at once, and give back everything that is ours."""
        self._push()
        self._rest()
        for each in self._down:
            os.close(each.descriptor)
        self._down = []
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None

    def take(self, prefix: bytes) -> list[tuple[bytes, int]]:
        """What was handed down under names that begin so: the rest of each name, and the descriptor to be closed."""
        taken = [each for each in self._down if each.name.startswith(prefix)]
        self._down = [each for each in self._down if not each.name.startswith(prefix)]
        return [(each.name.removeprefix(prefix), each.descriptor) for each in taken]

    def keep(self, name: bytes, descriptor: int, *, known: bool) -> None:
        """Have a descriptor, open until `drop` or `leave`, kept under its full name; `known`: it is already."""
        if self._notifier is None or len(name) > LONGEST_NAME:
            return
        key = (name, file_of(descriptor))
        self._kept[key] = descriptor
        if not known:
            self._tell(STORE + name, key)

    def drop(self, name: bytes) -> None:
        """Have what is of that name kept no longer."""
        if self._let_go(name):
            self._tell(REMOVE + name)

    def leave(self, name: bytes) -> None:
        """Descriptors of that name are closed here; above they stay as they are."""
        self._push()
        self._let_go(name)

    def _let_go(self, name: bytes) -> bool:
        keys = [key for key in self._kept if key[0] == name]
        for key in keys:
            del self._kept[key]
        return bool(keys)

    def _tick(self) -> None:
        if self._notifier is None:
            return
        if self._notifier.stale():
            self._begin_again(self._notifier)
        # A queue that does not move need not grow.
        if self._allowed and not self._queue:
            self._tell(ALIVE)
        self._loop.after(self._interval, self._tick)

    def _begin_again(self, notifier: notify.Notifier) -> None:
        """Another one is there, or the same one again: it is told everything."""
        self._rest()
        self._queue.clear()
        try:
            notifier.connect()
        except OSError:
            # Nobody, yet.
            return
        told = [line for line, holds in ((READY, self._ready), (STOPPING, self._stopping)) if holds]
        self._queue.extend((line, None) for line in told)
        self._queue.extend((STORE + key[0], key) for key in self._kept)
        self._push()

    def _tell(self, line: bytes, key: Key | None = None) -> None:
        if self._notifier is not None:
            self._queue.append((line, key))
            self._push()

    def _push(self) -> None:
        """Send what can be sent now; the loop calls again when there is room for more."""
        notifier = self._notifier
        while notifier is not None and self._queue:
            line, key = self._queue[0]
            descriptor = None if key is None else self._kept.get(key)
            try:
                # One that was given up since is not sent any more.
                if key is None or descriptor is not None:
                    notifier.tell(line, descriptors=() if descriptor is None else (descriptor,))
            except BlockingIOError:
                if self._waiting < 0:
                    self._waiting = notifier.descriptor
                    self._loop.watch(self._waiting, WRITE, lambda _: self._push())
                return
            except OSError:
                # It does not listen now: all is told again when somebody does.
                self._rest()
                self._queue.clear()
                notifier.close()
                return
            self._queue.popleft()
        self._rest()

    def _rest(self) -> None:
        if self._waiting >= 0:
            self._loop.forget(self._waiting)
            self._waiting = -1


class Shelf:
    """One service's part of what is kept above; the store of that service is its only user."""

    __slots__ = ("_above", "_prefix")

    def __init__(self, above: Above, prefix: bytes) -> None:
        """`prefix` is what all its names begin with above."""
        self._above = above
        self._prefix = prefix

    def take(self) -> list[tuple[bytes, int]]:
        """What has come down for this service, by name; the caller's from now on."""
        return self._above.take(self._prefix)

    def keep(self, name: bytes, descriptor: int, *, known: bool = False) -> None:
        """Keep one; `known` where it came from there."""
        self._above.keep(self._prefix + name, descriptor, known=known)

    def drop(self, name: bytes) -> None:
        """Keep those of that name no longer."""
        self._above.drop(self._prefix + name)

    def leave(self, name: bytes) -> None:
        """We are going, they stay."""
        self._above.leave(self._prefix + name)


def quote(service: bytes) -> bytes:
    """A service's name as it may stand in FDNAME, with nothing in it that separates."""
    return b"".join(b"%c" % byte if 32 < byte < 127 and byte not in QUOTED else b"%%%02X" % byte for byte in service)


def _watchdog(environ: Environ) -> float | None:
    """Within how many seconds it wants to hear of us; None if it does not."""
    usec = environ.get(b"WATCHDOG_USEC", b"")
    if not usec.isdigit() or not int(usec) or environ.get(b"WATCHDOG_PID", b"%d" % os.getpid()) != b"%d" % os.getpid():
        return None
    return int(usec) / MICROSECONDS
