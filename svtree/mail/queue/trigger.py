"""The trigger: a FIFO, lock/trigger, that a queue writer pulls and qmail-send watches.

Follows triggerpull.c and trigger.c. Pulling is a hint: if it fails, qmail-send looks every 25 minutes.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIG_IGN, SIGPIPE, signal
else:
    from _signal import SIG_IGN, SIGPIPE, signal

NAME = b"lock/trigger"


def pull(queue: int) -> None:
    """Wake qmail-send; `queue` is a descriptor of queue/."""
    try:
        descriptor = os.open(NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=queue)
    except OSError:
        return
    # qmail-send may close its end between our open and our write.
    previous = signal(SIGPIPE, SIG_IGN)
    try:
        os.write(descriptor, b"\0")
    except OSError:
        return
    finally:
        signal(SIGPIPE, previous)
        os.close(descriptor)
