"""What /proc says of processes: who a pid is, whose child, of which session, in which directory, with what environment.

Read directly rather than through psutil, whose import takes the supervisor 38 ms and 5 MB. A process may end between
any two lines here: then the answer is None or it is left out, never an error.
"""

from __future__ import annotations

import os
import time

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")
BOOT_ID = b"/proc/sys/kernel/random/boot_id"
# The kernel's limit for arguments and environment together, were a stack never larger than usual.
ENVIRON_LIMIT = 2 << 20


@record
class Process:
    """One line of /proc/PID/stat; `ticks` is the moment of its start, in clock ticks since boot."""

    pid: int
    state: bytes
    parent: int
    group: int
    session: int
    ticks: int


def look(pid: int) -> Process | None:
    """Describe a process; None if there is none."""
    data = _read(b"/proc/%d/stat" % pid, 4096)
    # The name stands in parentheses and may hold anything, parentheses and spaces too.
    _, close, rest = data.rpartition(b") ")
    if not close:
        return None
    fields = rest.split()
    return Process(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def everybody() -> Iterator[Process]:
    """Describe every process that can be seen."""
    for name in os.listdir(b"/proc"):
        if name.isdigit():
            process = look(int(name))
            if process is not None:
                yield process


def environment(pid: int) -> dict[bytes, bytes]:
    """The environment a process was started with; empty if it may not be read."""
    pairs = (entry.partition(b"=") for entry in _read(b"/proc/%d/environ" % pid, ENVIRON_LIMIT).split(b"\0"))
    return {name: value for name, _, value in pairs if name}


def works_in(pid: int, directory: int) -> bool:
    """Whether the current directory of a process is the one open as `directory`."""
    try:
        there, here = os.stat(b"/proc/%d/cwd" % pid), os.fstat(directory)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def owner(pid: int) -> int | None:
    """The user a process acts as."""
    try:
        return os.stat(b"/proc/%d" % pid).st_uid
    except OSError:
        return None


def boot_id() -> bytes:
    """The name of this boot of the machine; a pid and a start time mean something within one boot only."""
    return _read(BOOT_ID, 64).strip()


def ticks_now() -> int:
    """The present moment, as a process started now would have it as its start."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def age(ticks: int) -> float:
    """Seconds since a start."""
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / TICKS)


def _read(path: bytes, limit: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    blocks = []
    size = 0
    try:
        while size < limit:
            block = os.read(descriptor, min(65536, limit - size))
            if not block:
                break
            blocks.append(block)
            size += len(block)
    except OSError:
        # Gone meanwhile, or not ours to read.
        return b""
    finally:
        os.close(descriptor)
    return b"".join(blocks)
