"""Keeping the listening socket with the supervisor, so that it outlives us.

Once we accept, the socket is sent to the supervisor (FDSTORE=1, FDNAME=listen) and we are READY=1. A supervisor that
is killed loses what it kept, and its successor binds a new notify socket at the same path: once a second we look
whether it is still the one we know, and send again where it is not. Between the two a restart of ours would find no
socket kept; the new one binds its own then.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from svtree.system.loop import Loop
    from svtree.system.notify import Notifier

NAME = b"listen"
# How often to look after the supervisor, in seconds.
INTERVAL = 1.0


class Kept:
    """Has the supervisor keep one listening socket, from `begin` on."""

    def __init__(self, notifier: Notifier, listener: socket.socket, *, stored: bool, unfit: tuple[bytes, ...]) -> None:
        """`stored`: the supervisor has just given it to us. `unfit`: names under which it keeps what is of no use."""
        self._notifier = notifier
        self._listener = listener
        self._stored = stored
        self._unfit = unfit
        self._told = False
        self._loop: Loop | None = None

    def begin(self, loop: Loop) -> None:
        """Tell the supervisor now and whenever another one takes its place."""
        self._loop = loop
        self._look()

    def close(self) -> None:
        """Let go of the connection to the supervisor."""
        self._notifier.close()

    def _look(self) -> None:
        try:
            if self._notifier.stale():
                # Another one: it knows nothing of us, whatever gave us the socket.
                self._told = self._stored = False
                self._unfit = ()
                self._notifier.connect()
            if not self._told:
                self._tell()
        except OSError:
            # Not there, not allowed, or too busy to take it: it may be in a second.
            self._told = False
        assert self._loop is not None  # noqa: S101 - set by begin, the only caller but the loop
        self._loop.after(INTERVAL, self._look)

    def _tell(self) -> None:
        for name in self._unfit:
            self._notifier.tell(b"FDSTOREREMOVE=1", b"FDNAME=" + name)
        self._unfit = ()
        if not self._stored:
            self._notifier.tell(b"FDSTORE=1", b"FDNAME=" + NAME, descriptors=(self._listener.fileno(),))
            self._stored = True
        self._notifier.tell(b"READY=1")
        self._told = True
