"""Getting the socket queue/socket to listen on: kept by the supervisor from the last time, or made.

It is handed to the supervisor when it is made (FDSTORE), so that clients who come while qmail-queued restarts wait in
its backlog.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import time

from svtree.mail.queue.client import address
from svtree.mail.queue.server import BACKLOG
from svtree.system import atomic, notify, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.program import Environ

NAME = b"queue"
MODE = 0o666
# After qmail-send was killed its qmail-queued needs a moment to see that, in seconds.
GRACE = 2.0
PAUSE = 0.05


def obtain(home: bytes, environ: Environ) -> socket.socket:
    """The listening socket. Raises OSError where it cannot be made, or another process listens already."""
    kept = None
    useless = False
    for each in sockets.inherited(environ):
        if each.name == NAME and kept is None and _there(home):
            kept = socket.socket(fileno=each.descriptor)
        else:
            os.close(each.descriptor)
            useless |= each.name == NAME
    if kept is not None:
        return kept
    made = _make(home)
    supervisor = notify.from_environment(environ)
    if supervisor is not None:
        try:
            if useless:
                # Else it would be the first that the next of us is given.
                supervisor.tell(b"FDSTOREREMOVE=1", b"FDNAME=" + NAME)
            supervisor.tell(b"FDSTORE=1", b"FDNAME=" + NAME, descriptors=[made.fileno()])
        except OSError:
            # Without a keeper a restart refuses clients for a moment, and they try again.
            pass
        supervisor.close()
    return made


def _there(home: bytes) -> bool:
    """Whether there is a socket at the path: a kept one that has lost its name is of no use."""
    try:
        return stat.S_ISSOCK(os.lstat(home + b"/queue/socket").st_mode)
    except OSError:
        return False


def _make(home: bytes) -> socket.socket:
    path, directory = address(home)
    try:
        if _there(home):
            _refuse_if_alive(path)
            atomic.discard(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            made.bind(path)
            os.chmod(path, MODE)
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
        return made
    finally:
        os.close(directory)


def _refuse_if_alive(path: bytes) -> None:
    """Raise FileExistsError if somebody listens here, and goes on to: a qmail-queued that is ending gets a moment."""
    deadline = time.monotonic() + GRACE
    while _alive(path):
        if time.monotonic() > deadline:
            raise FileExistsError(errno.EEXIST, "qmail-queued is already running", "queue/socket")
        time.sleep(PAUSE)


def _alive(path: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except TimeoutError:
            return True
    return True
