"""A connection after the handshake: the wait before the greeting, the handler in a child, the pump, the same end.

The process of the connection, which tcpserver counts, is the pump; the handler is its child, and both end alike.
"""

from __future__ import annotations

import os
import resource
import socket
import ssl

from svtree.program import TEMPORARY
from svtree.system.errors import reason
from svtree.tcp import foreword
from svtree.tcp.connection import Peer
from svtree.tcp.pump import Pump
from svtree.tcp.reception import Dropped

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from svtree.program import Environ
    from svtree.tcp.reception import Reception
else:
    import _signal as signal


# Seconds for a client to take what it is told before it is turned away.
PATIENCE = 2.0


class Shaken:
    """A connection over TLS as it is before its handler has it; see foreword.Plain."""

    def __init__(self, client: ssl.SSLSocket) -> None:
        """It stays its owner's."""
        self._client = client

    def fileno(self) -> int:
        """What to wait for."""
        return self._client.fileno()

    def glance(self) -> bytes | None:
        """What the client has sent, which is taken: whoever has sent something has no handler."""
        try:
            return self._client.recv(foreword.LOOKED)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def say(self, text: bytes) -> None:
        """Send all of it, however long that takes; OSError where the client has gone."""
        self._client.setblocking(True)
        self._client.sendall(text)

    def turn_away(self, text: bytes) -> None:
        """Tell the client why; the connection is to be closed then."""
        try:
            self._client.settimeout(PATIENCE)
            self._client.sendall(text + b"\r\n")
            self._client.unwrap().close()
        except OSError:
            return


def serve(
    shaken: ssl.SSLSocket, environ: Environ, reception: Reception, handler: Callable[[socket.socket], int]
) -> int:
    """Serve a client; the exit code, unless a signal has ended the handler: then it ends this process too.

    `handler` becomes the handler in a child, with its end of a socket pair. Raises Denied or Dropped before that.
    """
    reception.welcome(Shaken(shaken), Peer(environ.get(b"TCPREMOTEIP", b"?"), 0), environ)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        pid = os.fork()
    except OSError as error:
        raise Dropped(b"unable to fork: " + reason(error).encode()) from error
    if pid == 0:
        _be_the_handler(shaken, ours, theirs, handler)
    theirs.close()
    with ours:
        shaken.setblocking(False)
        ours.setblocking(False)
        Pump(shaken, ours).run()
    shaken.close()
    return _ended(pid)


def _be_the_handler(
    shaken: ssl.SSLSocket, ours: socket.socket, theirs: socket.socket, handler: Callable[[socket.socket], int]
) -> None:
    code = TEMPORARY
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        ours.close()
        # Not close(): the descriptor alone, without a word to the client.
        os.close(shaken.detach())
        code = handler(theirs)
    finally:
        os._exit(code)


def _ended(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        # The handler has left the core, if there is to be one.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else TEMPORARY
