"""qmail-queued: put messages into the queue for users who may not.

No program of the original: there qmail-queue is setuid. It listens on QMAILHOME/queue/socket, to which our qmail-queue
and the programs that would run it connect, and runs as the queue's owner. The wire is in svtree.mail.queue.client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svtree.mail import controls
from svtree.mail.queue import codes
from svtree.mail.queue.codes import SubmitError
from svtree.program import Fatal, UsageError, number, options
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.queue.server import Limits, Server
    from svtree.program import Environ
    from svtree.system.loop import Loop

USAGE = (
    "qmail-queued: usage: qmail-queued [ -c connections ] [ -u connections_per_uid ] [ -s bytes_per_message ]"
    " [ -r recipients_per_message ] [ -m messages_per_minute_and_uid ]"
)
FIELDS = {"c": "connections", "u": "per_uid", "s": "message", "r": "recipients", "m": "per_minute"}
LEASH = b"QMAILQUEUED_LEASH"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve until TERM, or until qmail-send is gone."""
    import os
    import signal

    from svtree.mail.queue import listener, server, writer
    from svtree.system.loop import Loop

    limits = _limits(argv)
    os.umask(0o077)
    home = controls.home(environ)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        queue = writer.Queue(home)
    except SubmitError as error:
        what = "qmail's directory" if error.code == codes.HOME else "the queue"
        raise Fatal(f"unable to open {what} {os.fsdecode(home)}") from error
    try:
        listening = listener.obtain(home, environ)
    except OSError as error:
        raise Fatal(f"unable to listen at {os.fsdecode(home)}/queue/socket: {reason(error)}") from error
    loop = Loop()
    serving = server.Server(queue, listening, loop, limits)
    loop.on_signal(signal.SIGTERM, serving.stop)
    _hold_leash(environ, loop, serving)
    loop.run()
    serving.close()
    return 0


def _limits(argv: Sequence[bytes]) -> Limits:
    from svtree.mail.queue.server import Limits

    found, rest = options(argv, "c:u:s:r:m:", USAGE)
    if rest:
        raise UsageError(USAGE)
    chosen = {}
    for letter, value in found:
        if not value.isdigit() or not int(value):
            raise UsageError(USAGE)
        chosen[FIELDS[letter]] = int(value)
    return Limits(**chosen)


def _hold_leash(environ: Environ, loop: Loop, serving: Server) -> None:
    """End when qmail-send has ended: it holds the other end of this socket, and never writes."""
    import os

    from svtree.system.loop import READ

    held = number(environ.get(LEASH, b""))
    if held < 3:
        return
    os.set_inheritable(held, False)

    def slipped(_: int) -> None:
        loop.forget(held)
        serving.stop()

    loop.watch(held, READ, slipped)
