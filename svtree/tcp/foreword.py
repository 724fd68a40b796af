"""What may be heard from a client before its handler runs: a proxy's header, or words that are too early.

In the process of the connection: both take as long as the other side likes, up to a limit.
"""

from __future__ import annotations

import select
import socket
import time

from svtree.formats import proxy
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from svtree.formats.proxy import Proxied

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


# Seconds for a proxy, which is near and has nothing else to say, to send its header.
PATIENCE = 10.0
# How much of what a talker says is looked at, and how much is thrown away before it is told why.
LOOKED, EMPTIED = 64, 65536
BLOCK = 4096


class NoHeader(Exception):  # noqa: N818 - completes "dropping connection, ..."
    """There is no header, or it is none; `reason` says why."""

    def __init__(self, reason: bytes) -> None:
        """As it stands after the proxy's address."""
        super().__init__(reason)
        self.reason = reason


def header(client: socket.socket, patience: float = PATIENCE) -> Proxied | None:
    """Read a proxy's header and not a byte more; what it says, None for a connection of its own. NoHeader without."""
    deadline = time.monotonic() + patience
    data = b""
    try:
        while more := proxy.missing(data):
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoHeader(b"timed out")
            client.settimeout(left)
            block = client.recv(more)
            if not block:
                raise NoHeader(b"connection closed")
            data += block
        return proxy.parse(data)
    except proxy.ProxyError as error:
        raise NoHeader(str(error).encode()) from error
    except TimeoutError as error:
        raise NoHeader(b"timed out") from error
    except OSError as error:
        raise NoHeader(reason(error).encode()) from error
    finally:
        client.settimeout(None)


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
