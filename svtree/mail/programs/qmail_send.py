"""qmail-send: deliver the messages in the queue.

Follows qmail-send(8) and qmail-send.c. Started by qmail-start with its log on descriptor 0, qmail-lspawn on 1 and 2,
qmail-rspawn on 3 and 4, qmail-clean on 5 and 6. On descriptor 7, if $QMAILQUEUED_LEASH says so, is a socket whose
other end qmail-queued holds: when one of the two is gone the other ends.
"""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

from svtree.mail import controls
from svtree.mail.controls import ControlError
from svtree.mail.queue import settings
from svtree.mail.queue.channel import Channel
from svtree.mail.queue.cleaner import Cleaner
from svtree.mail.queue.log import Log
from svtree.mail.queue.manager import Manager
from svtree.mail.queue.store import CHANNELS, Store
from svtree.program import TEMPORARY, UsageError, number
from svtree.system import notify, sockets
from svtree.system.loop import READ, Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.mail.queue.settings import Settings
    from svtree.program import Environ
    from svtree.system.notify import Notifier

USAGE = "qmail-send: usage: qmail-send (started by qmail-start)"
PIPES = ((1, 2), (3, 4))
CLEAN = (5, 6)
LEASH = b"QMAILQUEUED_LEASH"
# The process ids of what qmail-start has started. Not all of our children: a shell before it may have had some too.
PARTS = b"QMAILSTART_PARTS"
# How long the other parts are waited for at the end, in seconds: qmail-queued lets its clients finish.
FAREWELL = 40.0


class CannotStartError(Exception):
    """Why, in the original's words."""


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run until TERM."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    log = Log(0)
    try:
        _serve(environ, log)
    except CannotStartError as error:
        log(b"alert: cannot start: " + str(error).encode("utf-8", "surrogateescape"))
        return TEMPORARY
    return 0


def _serve(environ: Environ, log: Log) -> None:
    home = controls.home(environ)
    if not os.path.isdir(home):
        raise CannotStartError("unable to switch to home directory")
    try:
        chosen = settings.read(controls.Controls(home))
    except ControlError as error:
        raise CannotStartError(f"unable to read controls: {error}") from error
    try:
        store = Store(home)
    except OSError as error:
        raise CannotStartError("unable to switch to queue directory") from error
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        mutex = store.open(b"lock/sendmutex", os.O_WRONLY)
    except OSError as error:
        raise CannotStartError("unable to open mutex") from error
    try:
        fcntl.flock(mutex, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise CannotStartError("qmail-send is already running") from error
    loop = Loop()
    _catch_signals(loop, lambda: manager)
    channels = [_channel(index, chosen, loop) for index in range(len(CHANNELS))]
    supervisor = notify.from_environment(environ)
    environ = sockets.without_supervisor(environ)
    manager = Manager(loop, store, channels, Cleaner(*CLEAN, log), log=log, chosen=chosen, environ=environ)
    _reap()
    _hold_leash(environ, loop, manager, log)
    _tell_ready(supervisor)
    manager.run()
    _dismiss(environ, loop)


def _catch_signals(loop: Loop, manager: Callable[[], Manager]) -> None:
    """Have the manager serve them, who need not be made yet: he says the first line of the log, which invites some."""
    loop.on_signal(signal.SIGTERM, lambda: manager().leave())
    loop.on_signal(signal.SIGALRM, lambda: manager().hurry())
    loop.on_signal(signal.SIGHUP, lambda: manager().reread())
    loop.on_signal(signal.SIGCHLD, _reap)


def _channel(index: int, chosen: Settings, loop: Loop) -> Channel:
    """Hear from a spawner how many deliveries it can run; no more than that are asked of it."""
    try:
        most = os.read(PIPES[index][1], 1)
    except OSError:
        most = b""
    if not most:
        raise CannotStartError("hath the daemon spawn no fire?")
    return Channel(index, min(chosen.concurrency[index], most[0]), PIPES[index], loop)


def _tell_ready(supervisor: Notifier | None) -> None:
    """Say that the queue is open and has been looked through."""
    if supervisor is not None:
        try:
            supervisor.tell(b"READY=1")
        except OSError:
            # A supervisor that is not there does not wait for it either.
            pass
        supervisor.close()


def _reap() -> None:
    """Take the ends of what qmail-start started, which is ours; that one has ended is heard on its pipes."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _dismiss(environ: Environ, loop: Loop) -> None:
    """Close every pipe, so that the other parts end, and wait for them: who sees us end sees the last of us."""
    held = number(environ.get(LEASH, b""))
    for descriptor in (*PIPES[0], *PIPES[1], *CLEAN, *([held] if held >= 7 else []), 0):
        loop.forget(descriptor)
        os.close(descriptor)
    parts = [number(word) for word in environ.get(PARTS, b"").split()]
    deadline = loop.clock.monotonic() + FAREWELL
    while any(map(_runs, parts)) and loop.clock.monotonic() < deadline:
        loop.turn(1)


def _runs(pid: int) -> bool:
    """Whether this child has not ended yet."""
    try:
        return pid > 0 and os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False


def _hold_leash(environ: Environ, loop: Loop, manager: Manager, log: Log) -> None:
    held = number(environ.get(LEASH, b""))
    if held < 7:
        return
    os.set_inheritable(held, False)

    def slipped(_: int) -> None:
        loop.forget(held)
        log(b"alert: oh no! lost qmail-queued connection! dying...")
        manager.leave()

    loop.watch(held, READ, slipped)
