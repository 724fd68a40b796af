"""Connections that come from proxies, until their headers say for whom they come.

tcpserver itself waits for the headers, for all proxies at once: so it knows the clients by their addresses before it
asks the rules and counts, and nobody behind a proxy has another's share. What comes of it goes to the owner: a client
that is announced, or a connection without a header, which is to be dropped.
"""

from __future__ import annotations

import socket
from functools import partial

from svtree.formats import proxy
from svtree.system.errors import reason
from svtree.system.loop import READ
from svtree.tcp.connection import Peer, Proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.system.loop import Loop, Timer

    Announce = Callable[[socket.socket, Peer], None]
    Drop = Callable[[Peer, bytes], None]

# Seconds for a proxy, which is near and has nothing else to say, to send its header.
PATIENCE = 10.0


class Waiting:
    """One connection, what has come of its header, and the timer that ends the waiting."""

    __slots__ = ("client", "data", "peer", "timer")

    def __init__(self, client: socket.socket, peer: Peer) -> None:
        """Nothing has come yet."""
        self.client = client
        self.peer = peer
        self.data = b""
        self.timer: Timer | None = None


class Announcements:
    """The connections whose headers are not whole."""

    def __init__(self, loop: Loop, announce: Announce, drop: Drop, patience: float = PATIENCE) -> None:
        """`announce` gets a connection, which is closed when it returns, and its client; `drop` the proxy and why."""
        self._loop = loop
        self._announce = announce
        self._drop = drop
        self._patience = patience
        self._waiting: dict[int, Waiting] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._waiting)

    def expect(self, client: socket.socket, peer: Peer) -> None:
        """Take a connection from the proxy `peer` over: it is detached from `client`, and ours."""
        waiting = Waiting(socket.socket(client.family, client.type, client.proto, client.detach()), peer)
        descriptor = waiting.client.fileno()
        self._waiting[descriptor] = waiting
        waiting.timer = self._loop.after(self._patience, partial(self._lost, waiting, b"timed out"))
        try:
            self._loop.watch(descriptor, READ, partial(self._read, waiting))
        except OSError as error:
            # The kernel has room for no more to be watched.
            self._lost(waiting, reason(error).encode())

    def close(self) -> None:
        """Close them all; the loop's part of them is the loop's to end."""
        for waiting in self._waiting.values():
            waiting.client.close()
        self._waiting.clear()

    def _read(self, waiting: Waiting, _: int) -> None:
        """Take what has come, not a byte beyond the header: that is the handler's."""
        try:
            while more := proxy.missing(waiting.data):
                block = waiting.client.recv(more, socket.MSG_DONTWAIT)
                if not block:
                    self._lost(waiting, b"connection closed")
                    return
                waiting.data += block
            found = proxy.parse(waiting.data)
        except BlockingIOError:
            return
        except proxy.ProxyError as error:
            self._lost(waiting, str(error).encode())
        except OSError as error:
            self._lost(waiting, reason(error).encode())
        else:
            self._leave(waiting)
            peer = waiting.peer
            if found is not None:
                behind = Proxy(peer.ip, found.local_ip, found.local_port)
                peer = Peer(found.remote_ip, found.remote_port, proxy=behind)
            with waiting.client:
                self._announce(waiting.client, peer)

    def _lost(self, waiting: Waiting, why: bytes) -> None:
        self._leave(waiting)
        waiting.client.close()
        self._drop(waiting.peer, why)

    def _leave(self, waiting: Waiting) -> None:
        """It is waited for no more; it is not closed yet."""
        descriptor = waiting.client.fileno()
        self._loop.forget(descriptor)
        del self._waiting[descriptor]
        if waiting.timer is not None:
            waiting.timer.cancel()
