"""supervise/status: what a supervisor says about its service, in 20 bytes.

    0-11   TAI64N of the last change of pid
    12-15  pid, little-endian, 0 while nothing runs
    16     1 while paused
    17     "u" wanted up, "d" wanted down, 0 neither (run once)
    18     1 after TERM was sent and until the process has ended
    19     0 down, 1 run is running, 2 finish is running

Follows daemontools 0.76, whose supervise writes and whose svstat reads the first 18, and runit 2.1, whose runsv
writes and whose sv insists on all 20. What is written here satisfies both; what either of them wrote is read.
"""

from __future__ import annotations

from svtree.formats import tai64
from svtree.formats.record import record

SHORT = 18
SIZE = 20

UP = ord("u")
DOWN = ord("d")
ONCE = 0

# Byte 19.
STOPPED = 0
RUNNING = 1
FINISHING = 2


class StatusError(ValueError):
    """The bytes are no status; the text is what svstat says of them."""


@record
class Status:
    """One status; `since` is in nanoseconds since 1970 (UTC)."""

    since: int
    pid: int
    paused: bool
    want: int
    term_sent: bool
    phase: int

    def pack(self) -> bytes:
        """The 20 bytes."""
        flags = bytes((self.paused, self.want, self.term_sent, self.phase))
        return tai64.pack(self.since) + self.pid.to_bytes(4, "little") + flags


def parse(data: bytes) -> Status:
    """Read 18 bytes (daemontools) or 20 (runit, svtree), and ignore what follows; StatusError if there are fewer."""
    if len(data) < SHORT:
        raise StatusError("bad format")
    pid = int.from_bytes(data[12:16], "little")
    # daemontools knows neither byte 18 nor 19: to it, what has a pid runs.
    term_sent, phase = (data[18] != 0, data[19]) if len(data) >= SIZE else (False, RUNNING if pid else STOPPED)
    return Status(tai64.unpack(data[:12]), pid, data[16] != 0, data[17], term_sent, phase)
