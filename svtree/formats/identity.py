"""Who runs for a service: the line that a supervisor leaves in supervise/lock for its successor.

    svtree 1 PHASE PID TICKS BOOT WANT TOKEN

PHASE is `starting` (TICKS is the moment before the start, PID is 0), `run`, `finish` or `none`. TICKS is the start of
the process in clock ticks since boot, BOOT the name of that boot: together with PID they name one process and no
other, ever. WANT is what was wanted of the service: `u`, `d` or `o`. TOKEN is in the environment of the process.

The line is padded to one size and written in place with a single write: that needs no disk space, and a supervisor
that is killed leaves the old line or the new one. After a power failure it may be anything, but BOOT is another then.
"""

from __future__ import annotations

from svtree.formats.record import record

SIZE = 192
MAGIC = b"svtree 1"

STARTING = b"starting"
RUN = b"run"
FINISH = b"finish"
NONE = b"none"
PHASES = (STARTING, RUN, FINISH, NONE)


@record
class Identity:
    """What the line says."""

    phase: bytes
    pid: int
    ticks: int
    boot: bytes
    want: bytes
    token: bytes

    def pack(self) -> bytes:
        """The line, SIZE bytes with its newline; ValueError if the token or boot name is too long for it."""
        line = b"%s %s %d %d %s %s %s" % (
            MAGIC,
            self.phase,
            self.pid,
            self.ticks,
            self.boot or b"-",
            self.want,
            self.token or b"-",
        )
        if len(line) >= SIZE:
            raise ValueError("identity too long")
        return line.ljust(SIZE - 1) + b"\n"


def parse(data: bytes) -> Identity | None:
    """Read a line; None where there is none of ours: an empty file is daemontools' or runit's."""
    fields = data.split(b"\n", 1)[0].split()
    if len(fields) != 8 or b" ".join(fields[:2]) != MAGIC:
        return None
    phase, pid, ticks, boot, want, token = fields[2:]
    if phase not in PHASES or not (pid.isdigit() and ticks.isdigit()):
        return None
    return Identity(phase, int(pid), int(ticks), b"" if boot == b"-" else boot, want, b"" if token == b"-" else token)
