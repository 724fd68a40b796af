"""qmail-clean: remove finished files from the queue.

Follows qmail-clean(8) and qmail-clean.c: "foop/N" (intd/N and mess/N) or "todo/N" (intd/N and todo/N), each with a NUL,
on descriptor 0; for each one byte on descriptor 1: + done, ! not done, x not understood. Every 30 requests it removes
what has been in pid/ for 36 hours.
"""

from __future__ import annotations

import os
import time

from svtree.formats import queuefiles
from svtree.mail import controls
from svtree.program import TEMPORARY, UsageError
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from signal import SIG_IGN, SIGPIPE, signal

    from svtree.program import Environ
else:
    from _signal import SIG_IGN, SIGPIPE, signal

USAGE = "qmail-clean: usage: qmail-clean (started by qmail-start)"
OSSIFIED = 129600
ROUND = 31
LONGEST = 100


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve requests until they end."""
    if len(argv) > 1:
        raise UsageError(USAGE)
    try:
        os.chdir(controls.home(environ) + b"/queue")
    except OSError:
        return TEMPORARY
    signal(SIGPIPE, SIG_IGN)
    held = b""
    until_next = 0
    while True:
        if not until_next:
            _clean_pid()
            until_next = ROUND
        try:
            data = os.read(0, 4096)
        except OSError:
            return 0
        if not data:
            return 0
        *requests, held = (held + data).split(b"\0")
        if len(held) > LONGEST:
            # Nothing that long is a request; what is dropped here keeps it one that is not understood.
            held = held[: LONGEST + 1]
        for request in requests:
            until_next = max(0, until_next - 1)
            try:
                write_all(1, _serve(request))
            except OSError:
                return 100


def _serve(request: bytes) -> bytes:
    kind, number = request[:5], queuefiles.number(request[5:])
    # The original measures with the NUL: at least 7, at most 100.
    if number is None or not 6 <= len(request) < LONGEST:
        return b"x"
    if kind == b"foop/":
        names = (queuefiles.flat("intd", number), queuefiles.split("mess", number))
    elif kind == b"todo/":
        names = (queuefiles.flat("intd", number), queuefiles.flat("todo", number))
    else:
        return b"x"
    for name in names:
        try:
            os.unlink(name)
        except FileNotFoundError:
            continue
        except OSError:
            return b"!"
    return b"+"


def _clean_pid() -> None:
    now = time.time()
    try:
        names = os.listdir(b"pid")
    except OSError:
        return
    for name in names:
        path = b"pid/" + name
        try:
            if now >= os.stat(path, follow_symlinks=False).st_atime + OSSIFIED:
                os.unlink(path)
        except OSError:
            continue
