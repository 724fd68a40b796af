"""svstat: show the status of supervised services."""

from __future__ import annotations

import errno
import time

from svtree.formats import status
from svtree.supervision import ask
from svtree.system.errors import reason
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "svstat: usage: svstat dir ..."
SECOND = 1_000_000_000


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this signature
    """Print one line for each directory; what cannot be read is said in that line, and the exit code is 0."""
    lines = [directory + b": " + _describe(directory).encode() + b"\n" for directory in argv[1:]]
    if lines:
        write_all(1, b"".join(lines))
    return 0


def _describe(directory: bytes) -> str:
    step = "chdir"
    try:
        ask.reach(directory)
        step = "stat down"
        normally_up = ask.is_normally_up(directory)
        step = "open supervise/ok"
        ask.knock(directory)
        step = "open supervise/status"
        now = ask.look(directory)
    except status.StatusError as error:
        return f"unable to read supervise/status: {error}"
    except OSError as error:
        if step == "open supervise/ok" and error.errno == errno.ENXIO:
            return "supervise not running"
        return f"unable to {step}: {reason(error)}"
    return words(now, normally_up=normally_up, seconds=int(time.time()))


def words(now: status.Status, *, normally_up: bool, seconds: int) -> str:
    """A status as a sentence; `seconds` is the Unix time at which it is read."""
    for_seconds = max(0, seconds - now.since // SECOND)
    text = f"up (pid {now.pid}) {for_seconds} seconds" if now.pid else f"down {for_seconds} seconds"
    marks = (
        ("normally down", now.pid and not normally_up),
        ("normally up", not now.pid and normally_up),
        ("paused", now.pid and now.paused),
        ("want up", not now.pid and now.want == status.UP),
        ("want down", now.pid and now.want == status.DOWN),
    )
    return ", ".join([text, *(mark for mark, holds in marks if holds)])
