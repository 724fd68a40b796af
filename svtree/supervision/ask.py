"""The near side of supervise/: telling a supervisor what to do, and reading what it says, as svc and svstat do.

Works on the directories of daemontools' supervise and of runit's runsv as on our own. Nothing here waits: a FIFO that
nobody reads is an error, one that is full is an error too.
"""

from __future__ import annotations

import os

from svtree.formats import status

CONTROL = b"/supervise/control"
OK = b"/supervise/ok"
STATUS = b"/supervise/status"


def reach(directory: bytes) -> None:
    """Raise what a chdir to `directory` would, without moving: the caller's directory may be shared."""
    os.stat(directory and directory + b"/.")


def knock(directory: bytes) -> None:
    """Raise OSError unless the service is supervised: ENXIO when no supervisor runs, ENOENT when none ever has."""
    os.close(os.open(directory + OK, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def listener(directory: bytes) -> int:
    """Open the service's control FIFO for writing; ENXIO when no supervisor reads it. The caller closes it."""
    return os.open(directory + CONTROL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def is_normally_up(directory: bytes) -> bool:
    """Whether the service starts by itself: it has no file `down`."""
    try:
        os.stat(directory + b"/down")
    except FileNotFoundError:
        return True
    return False


def look(directory: bytes) -> status.Status:
    """Read the service's status; OSError or status.StatusError when there is none to read."""
    descriptor = os.open(directory + STATUS, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, status.SIZE)
    finally:
        os.close(descriptor)
    return status.parse(data)
