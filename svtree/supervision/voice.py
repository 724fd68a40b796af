"""All a service says to its supervisor and is given by it: readiness, status text, stored descriptors, the watchdog."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats.record import record
from svtree.supervision.adoption import VARIABLE, service_mark
from svtree.supervision.place import PlaceError
from svtree.supervision.readiness import (
    Check,
    NotificationPipe,
    NotifySocket,
    make_notification,
    notification_number,
)
from svtree.supervision.store import ABOVE, FIRST, Store
from svtree.system import procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from svtree.program import Environ
    from svtree.supervision.context import Context
    from svtree.supervision.place import Place
    from svtree.supervision.readiness import Message
    from svtree.system.loop import Timer

# posix_spawn cannot know the pid in advance; the shell that becomes the program can.
WITH_LISTEN_PID = (b"/bin/sh", b"-c", b'LISTEN_PID=$$; export LISTEN_PID; exec "$0"')
CHECK = b"./check"


@record
class Outfit:
    """What one start of a service gets: words before its argv, variables, descriptors by their number in it."""

    before: tuple[bytes, ...]
    environ: Environ
    descriptors: dict[int, int]


class Voice:
    """The channels of one service.

    `ready` and `said(status text)` are called when it says so, `silent` when it is late with a WATCHDOG=1 that it owes.
    """

    def __init__(
        self,
        context: Context,
        place: Place,
        path: bytes,
        *,
        ready: Callable[[], None],
        said: Callable[[str], None],
        silent: Callable[[], None],
        pid: Callable[[], int],
    ) -> None:
        """`path` is how the service itself reaches its directory; `pid` tells which process runs, 0 if none."""
        self.store = Store(context.above.shelf(place.name))
        self._context = context
        self._place = place
        self._path = path
        self._ready = ready
        self._said = said
        self._silent = silent
        self._pid = pid
        self._socket: NotifySocket | None = None
        self._pipe: NotificationPipe | None = None
        self._check: Check | None = None
        self._watchdog: Timer | None = None
        self._far = -1

    def listen(self) -> None:
        """Make the notify socket, and take back what was kept for the service while we were away; PlaceError."""
        try:
            self._socket = NotifySocket(self._context.loop, self._place.base, self._welcome, self._heard)
        except OSError as error:
            raise PlaceError(b"unable to bind " + self._place.name + b"/supervise/notify", error) from error
        self.store.recover()

    def promises(self) -> bool:
        """Whether the service is one that says when it is ready."""
        return self._number() is not None or self._place.may_run(b"check")

    def outfit(self) -> Outfit:
        """What the next start gets beside its streams. Call `started` or `quiet` after it. OSError."""
        environ: Environ = {}
        descriptors: dict[int, int] = {}
        if self._socket is not None:
            environ[b"NOTIFY_SOCKET"] = self._path + b"/supervise/notify"
        before: tuple[bytes, ...] = ()
        if len(self.store):
            before = WITH_LISTEN_PID
            environ |= self.store.variables()
            descriptors |= self.store.placed()
        number = self._number()
        # A service that wants its notification where its stored descriptors go gets the descriptors.
        if number is not None and number >= FIRST + len(self.store):
            near, self._far = make_notification(ABOVE)
            self._pipe = NotificationPipe(self._context.loop, near, self._ready)
            descriptors[number] = self._far
        usec = self._place.amount(b"timeout-watchdog")
        if usec:
            environ[b"WATCHDOG_USEC"] = b"%d" % (usec * 1000)
        return Outfit(before, environ, descriptors)

    def started(self, *, ready: bool = False) -> None:
        """The process runs: our copy of its end of the pipe is closed, and `check` is asked unless it is `ready`."""
        self._close_far()
        self._pat()
        if not ready and self._place.may_run(b"check"):
            self._check = Check(self._context.loop, self._ask, self._ready)

    def quiet(self) -> None:
        """The process is gone: what it might have said it says no more."""
        self._close_far()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._check is not None:
            self._check.close()
            self._check = None

    def close(self) -> None:
        """Give back every descriptor; the stored ones stay with the supervisor above."""
        self.quiet()
        self.store.leave()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _number(self) -> int | None:
        return notification_number(self._place.word(b"notification-fd"))

    def _close_far(self) -> None:
        if self._far >= 0:
            os.close(self._far)
            self._far = -1

    def _ask(self) -> int:
        environ = {VARIABLE: service_mark(self._place) + b"check"}
        return self._context.launch(self._place.directory, (CHECK,), environ, {})

    def _welcome(self) -> Collection[int]:
        pid = self._pid()
        owner = procfs.owner(pid) if pid else None
        return {0, os.geteuid()} if owner is None else {0, os.geteuid(), owner}

    def _heard(self, message: Message) -> None:
        text = message.status()
        if text is not None:
            self._said(text)
        if message.get(b"WATCHDOG") == b"1":
            self._pat()
        if message.get(b"FDSTOREREMOVE") == b"1":
            self.store.remove(message.name())
        if message.get(b"FDSTORE") == b"1":
            for descriptor in message.descriptors:
                self.store.add(message.name(), descriptor)
        else:
            message.close()
        if message.get(b"READY") == b"1":
            self._ready()

    def _pat(self) -> None:
        """The service has shown that it lives: it has the whole of its time again."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        allowed = self._place.amount(b"timeout-watchdog")
        if allowed and self._pid():
            self._watchdog = self._context.loop.after(allowed / 1000, self._silent)
