"""svscanboot: supervise the services of this machine."""

from __future__ import annotations

import os
import select
import sys

from svtree.multicall import search
from svtree.program import Chain, UsageError
from svtree.system.descriptors import duplicate, place
from svtree.system.errors import reason
from svtree.system.spawn import spawn
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "svscanboot: usage: svscanboot [ dir ]"
PATH = b"/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"
# daemontools' place, and Debian's.
SERVICES = (b"/service", b"/etc/service")
TITLE = (b"readproctitle", b"service", b"errors:", b"." * 400)
# svc writes to FIFOs and is done at once; one that hangs must not keep a machine from coming up.
PATIENCE_MS = 30_000


def main(argv: Sequence[bytes], environ: Environ) -> Chain:  # noqa: ARG001 - the services' environment is made anew
    """Tell what an earlier svscan left to end, start readproctitle, and go on as `svscan dir` that writes to it.

    `dir` is /service where there is one, else /etc/service. The environment is a PATH alone: the original's, and
    before it the directory that our own programs are in.
    """
    if len(argv) > 2:
        raise UsageError(USAGE)
    directory = argv[1] if len(argv) > 1 else next(filter(os.path.isdir, SERVICES), SERVICES[-1])
    clean = {b"PATH": _path()}
    null = duplicate(os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC))
    _stop_leftovers(directory, clean, null)
    writing = _start_title(clean, null)
    # Without readproctitle the services still count for more than their messages, which then go where ours do.
    place({0: null} if writing is None else {0: null, 1: writing, 2: writing})
    return Chain((b"svscan", directory), clean)


def _path() -> bytes:
    """The original's PATH, after the directory that this program has been started from if that has a svscan, too."""
    own = os.path.dirname(os.path.abspath(os.fsencode(sys.argv[0])))
    if own in PATH.split(b":") or search(own + b"/svscan", {}) is None:
        return PATH
    return own + b":" + PATH


def _stop_leftovers(directory: bytes, environ: Environ, null: int) -> None:
    """Run `svc -dx` on every service and its log, as the original does; there may be none, and it may fail."""
    try:
        names = sorted(name for name in os.listdir(directory) if name[:1] != b".")
    except OSError:
        # svscan is going to say what is wrong with it.
        return
    services = [directory + b"/" + name for name in names]
    services += [service + b"/log" for service in services if os.path.exists(service + b"/log")]
    program = search(b"svc", environ)
    if program is None or not services:
        return
    try:
        pid = spawn(program, [b"svc", b"-dx", *services], environ, descriptors={0: null, 1: null, 2: null})
    except OSError as error:
        complain(f"svscanboot: warning: unable to run svc: {reason(error)}")
        return
    _wait(pid)


def _wait(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        # Left alone when it hangs: it becomes a child of svscan, which reaps it.
        if ended.poll(PATIENCE_MS):
            os.waitpid(pid, 0)
    finally:
        os.close(pidfd)


def _start_title(environ: Environ, null: int) -> int | None:
    """Start readproctitle; return the end of its pipe to write to, or None after a line about why it does not run."""
    program = search(TITLE[0], environ)
    if program is None:
        complain("svscanboot: warning: unable to run readproctitle: file does not exist")
        return None
    reading, writing = os.pipe()
    # Above the standard descriptors, should those have been closed when we came.
    source, sink = duplicate(reading), duplicate(writing)
    os.close(reading)
    os.close(writing)
    try:
        # In a session of its own: an interrupt from the terminal is svscan's to act on, with its messages still shown.
        spawn(program, TITLE, environ, descriptors={0: source, 1: null, 2: null}, session=True)
    except OSError as error:
        complain(f"svscanboot: warning: unable to run readproctitle: {reason(error)}")
        os.close(sink)
        return None
    finally:
        os.close(source)
    return sink
