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
    lines = [directory + b": " + _describe(directory, int(time.time())).encode() + b"\n" for directory in argv[1:]]
    if lines:
        write_all(1, b"".join(lines))
    return 0


def _describe(directory: bytes, seconds: int) -> str:
    step = "chdir"
    try:
        # The original's chdir, which fails where the first look below it does: asked for only then.
        if not directory:
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
        return _why(directory, step, error)
    return words(now, normally_up=normally_up, seconds=seconds)


def _why(directory: bytes, step: str, error: OSError) -> str:
    try:
        ask.reach(directory)
    except OSError as unreachable:
        return f"unable to chdir: {reason(unreachable)}"
    if step == "open supervise/ok" and error.errno == errno.ENXIO:
        return "supervise not running"
    return f"unable to {step}: {reason(error)}"


def words(now: status.Status, *, normally_up: bool, seconds: int) -> str:
    """A status as a sentence; `seconds` is the Unix time at which it is read."""
    for_seconds = max(0, seconds - now.since // SECOND)
    if now.pid:
        text = f"up (pid {now.pid}) {for_seconds} seconds"
        if not normally_up:
            text += ", normally down"
        if now.paused:
            text += ", paused"
        return text + ", want down" if now.want == status.DOWN else text
    text = f"down {for_seconds} seconds"
    if normally_up:
        text += ", normally up"
    return text + ", want up" if now.want == status.UP else text
