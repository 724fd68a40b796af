"""What may be said and heard before a handler runs: a banner, words that are too early, why a client is turned away.

What takes time is for the process of the connection.
"""

from __future__ import annotations

import select
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Line(Protocol):
        """A client's connection, plain or not."""

        def fileno(self) -> int:
            """What to wait for."""

        def glance(self) -> bytes | None:
            """What has come, without waiting; b"" at the end, None where there is nothing yet."""

        def say(self, text: bytes) -> None:
            """Send all of it; OSError where the client has gone."""

        def turn_away(self, text: bytes) -> None:
            """Tell the client why, without waiting for it."""


# How much of what a talker says is looked at, and how much is thrown away before it is told why.
LOOKED, EMPTIED = 64, 65536
BLOCK = 4096


class Plain:
    """A client's connection as it is before its handler has it, for looking and for short words."""

    def __init__(self, client: socket.socket) -> None:
        """It stays its owner's."""
        self._client = client

    def fileno(self) -> int:
        """What to wait for."""
        return self._client.fileno()

    def glance(self) -> bytes | None:
        """What the client has sent, left where it is; b"" where it has gone, None where there is nothing yet."""
        try:
            return self._client.recv(LOOKED, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def say(self, text: bytes) -> None:
        """Send all of it, however long that takes; OSError where the client has gone."""
        self._client.setblocking(True)
        self._client.sendall(text)

    def turn_away(self, text: bytes) -> None:
        """Tell the client why, without waiting for it; the connection is to be closed then.

        What it has sent is read first: closing over unread bytes resets the connection, and takes our words with it.
        """
        try:
            for _ in range(EMPTIED // BLOCK):
                if len(self._client.recv(BLOCK, socket.MSG_DONTWAIT)) < BLOCK:
                    break
        except OSError:
            # Nothing there, or nobody.
            pass
        try:
            if text:
                self._client.send(text + b"\r\n", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            self._client.shutdown(socket.SHUT_WR)
        except OSError:
            return


def too_early(line: Line, seconds: float) -> bytes | None:
    """Wait so long, or until the client says something: what it says, b"" where it goes away; None where it waits."""
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(line.fileno(), select.POLLIN)
    while True:
        said = line.glance()
        if said is not None:
            return said
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
