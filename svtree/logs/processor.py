"""multilog's `!processor`: a shell command that turns a full log into what is kept of it.

Follows multilog.c of daemontools 0.76: the command reads `previous` on 0 and `state` on 4, writes `processed` on 1
and `newstate` on 5, in the log directory, and is run again, every five seconds, until it exits 0.
"""

from __future__ import annotations

import os

from svtree.logs.pausing import pause
from svtree.system.descriptors import duplicate
from svtree.system.errors import reason
from svtree.system.spawn import spawn
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.program import Environ

# Above every number that the command finds open.
ABOVE = 10


def run(path: bytes, directory: int, command: bytes, environ: Environ) -> None:
    """Run `command` in the log directory until it has succeeded. `path` is for complaints."""
    while True:
        try:
            pid = _start(directory, command, environ)
        except BlockingIOError as error:
            pause(b"unable to fork for processor in " + path + b", pausing: " + reason(error).encode())
            continue
        except OSError as error:
            complain(b"multilog: fatal: unable to run " + command + b": " + reason(error).encode())
            pause(b"processor failed in " + path + b", pausing")
            continue
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code == 0:
            return
        pause((b"processor crashed in " if code < 0 else b"processor failed in ") + path + b", pausing")


def _start(directory: int, command: bytes, environ: Environ) -> int:
    files = {
        0: (b"previous", os.O_RDONLY),
        1: (b"processed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        4: (b"state", os.O_RDONLY),
        5: (b"newstate", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    }
    opened: dict[int, int] = {}
    here = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number, (name, flags) in files.items():
            descriptor = os.open(name, flags | os.O_CLOEXEC, 0o644, dir_fd=directory)
            opened[number] = duplicate(descriptor, ABOVE)
            os.close(descriptor)
        os.fchdir(directory)
        try:
            return spawn(b"/bin/sh", [b"sh", b"-c", command], environ, descriptors=opened)
        finally:
            os.fchdir(here)
    finally:
        os.close(here)
        for descriptor in opened.values():
            os.close(descriptor)
