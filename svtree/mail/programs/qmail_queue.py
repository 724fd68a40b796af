"""qmail-queue: put a message into the queue.

Follows qmail-queue(8) and qmail-queue.c: the message is read from descriptor 0, then the envelope from descriptor 1;
nothing is printed, the exit code says everything. Where this process may not write the queue, qmail-queued does.
"""

from __future__ import annotations

import os

from svtree.formats import envelope
from svtree.mail.queue import codes, submit
from svtree.mail.queue.submit import SubmitError
from svtree.mail.queue.writer import LIFETIME
from svtree.program import UsageError
from svtree.system.alarm import AGAIN
from svtree.system.streams import BLOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from signal import (
        ITIMER_REAL,
        SIG_IGN,
        SIGALRM,
        SIGHUP,
        SIGINT,
        SIGPIPE,
        SIGPROF,
        SIGQUIT,
        SIGVTALRM,
        SIGXCPU,
        SIGXFSZ,
        setitimer,
        signal,
    )

    from svtree.mail.queue.submit import Carrier
    from svtree.program import Environ
else:
    from _signal import (
        ITIMER_REAL,
        SIG_IGN,
        SIGALRM,
        SIGHUP,
        SIGINT,
        SIGPIPE,
        SIGPROF,
        SIGQUIT,
        SIGVTALRM,
        SIGXCPU,
        SIGXFSZ,
        setitimer,
        signal,
    )

USAGE = "qmail-queue: usage: qmail-queue < message 1< envelope"
IGNORED = (SIGPIPE, SIGVTALRM, SIGPROF, SIGQUIT, SIGINT, SIGHUP, SIGXCPU, SIGXFSZ)


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Queue one message; 0, or one of qmail-queue's codes."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    for number in IGNORED:
        signal(number, SIG_IGN)
    # A day is all a writer has: qmail-send removes what is older than a day and a half. It dies without cleaning up,
    # since it may be stopped anywhere.
    signal(SIGALRM, lambda *_: os._exit(codes.TIMED_OUT))
    # Again and again, since one that comes just before a read begins does not interrupt it; see svtree.system.alarm.
    setitimer(ITIMER_REAL, LIFETIME, AGAIN)
    try:
        way = submit.carrier(environ, None, ourselves=True)
        try:
            _carry(way)
        except SubmitError:
            way.abandon()
            raise
    except SubmitError as error:
        return error.code
    except MemoryError:
        return codes.NO_MEMORY
    return 0


def _carry(way: Carrier) -> None:
    while data := _read(0):
        way.write(data)
    reader = envelope.Reader()
    while not reader.done:
        data = _read(1)
        if not data:
            raise SubmitError(codes.READ)
        try:
            records = reader.feed(data)
        except envelope.TooLongError as error:
            raise SubmitError(codes.TOO_LONG) from error
        except envelope.EnvelopeError as error:
            raise SubmitError(codes.BAD_ENVELOPE) from error
        if records:
            way.address(records)
    way.commit()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, BLOCK)
    except OSError as error:
        raise SubmitError(codes.READ) from error
