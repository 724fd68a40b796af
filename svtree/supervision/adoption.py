"""Finding what a supervisor that died has left running, so that no service is ever started twice.

A supervisor writes down in supervise/lock whom it has started (svtree.formats.identity). There is one hole: it may be
killed after the start and before that is written. So it writes `starting` before it starts anything, with a token
that it puts into the new process's environment as SVTREE_START; a successor that finds `starting` looks for the token
in the environments of all processes before it starts anything itself. A run script may have replaced its environment
meanwhile (`env -`): then a leader of a session that works in the service's directory and was started at that moment
is taken for it.

Race: between vfork and exec the child is still the old supervisor in all that /proc shows of it. It then has the old
supervisor's descriptors too, and with them the lock: until it has exec'ed, no successor gets as far as this.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import identity
from svtree.formats.record import record
from svtree.system import procfs

if TYPE_CHECKING:
    from svtree.formats.identity import Identity
    from svtree.supervision.place import Place

VARIABLE = b"SVTREE_START"
STOPPED = b"T"
# How long after the writing of `starting` a process may have begun, in seconds, to be taken for what was started.
SOON = 2


@record
class Found:
    """A process that runs for the service: whether it is run or finish, what is wanted, whether STOP has stopped it."""

    pid: int
    ticks: int
    phase: bytes
    want: bytes
    token: bytes
    stopped: bool


def service_mark(place: Place) -> bytes:
    """What all tokens of one service begin with: the directory itself, by whatever name it is reached."""
    there = os.fstat(place.directory)
    return b"%x.%x." % (there.st_dev, there.st_ino)


def new_token(place: Place) -> bytes:
    """A token for one start of this service."""
    return service_mark(place) + os.urandom(8).hex().encode()


def find(place: Place, boot: bytes) -> Found | None:
    """What runs for the service according to its last supervisor. The caller opens a pidfd and checks again."""
    left = place.identity()
    if left is None or left.boot != boot or left.phase == identity.NONE:
        return None
    if left.phase == identity.STARTING:
        return _started(place, left)
    seen = procfs.look(left.pid)
    if seen is None or seen.ticks != left.ticks:
        return None
    return Found(left.pid, left.ticks, left.phase, left.want, left.token, seen.state == STOPPED)


def _started(place: Place, left: Identity) -> Found | None:
    """The process that was started for `left`, if it was."""
    by_place = None
    for process in procfs.everybody():
        # What is started leads a session of its own; whatever else has the token is its descendant.
        if process.pid != process.session or process.ticks < left.ticks - procfs.TICKS:
            continue
        stopped = process.state == STOPPED
        found = Found(process.pid, process.ticks, identity.RUN, left.want, left.token, stopped)
        if procfs.environment(process.pid).get(VARIABLE) == left.token:
            return found
        if process.ticks <= left.ticks + SOON * procfs.TICKS and procfs.works_in(process.pid, place.directory):
            by_place = found
    return by_place
