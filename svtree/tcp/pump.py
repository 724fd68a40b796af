"""Between a client that speaks TLS and a handler that does not: two sockets, bytes both ways, ends and errors too.

- The client ends its direction: the handler reads end of file, and may go on writing.
- The handler ends: what it has written goes out, then close_notify and the end; what the client still says is dropped.
- The client is gone: the handler reads end of file and cannot write any more.
- Either is slow: the other waits, after one buffer.
"""

from __future__ import annotations

import select
import socket
import ssl
import time

BUFFER = 65536
# Seconds without progress for a client to take the last words of a handler that has ended.
PATIENCE = 60.0
# Seconds to wait for the client's end after ours, so that our last bytes are not cut off by a reset.
FAREWELL = 2.0
# What poll(2) is asked about.
IN, OUT = select.POLLIN, select.POLLOUT


class Pump:
    """Runs in a process of its own until both are through."""

    def __init__(self, client: ssl.SSLSocket, handler: socket.socket) -> None:
        """Both non-blocking, and the caller's to close."""
        self._client = client
        self._handler = handler
        self._inward = b""
        self._outward = b""
        self._client_talks = True
        self._handler_talks = True
        self._handler_hears = True
        # What TLS is waiting for to read or write: a handshake message may make either want the other.
        self._reading = IN
        self._writing = OUT

    def run(self) -> None:
        """Copy until the handler has ended and its words are out, or the client is gone."""
        try:
            while self._handler_talks or self._outward:
                self._turn()
        except TimeoutError:
            return
        except OSError:
            # The client is gone: the caller closes both, which the handler notices.
            return
        self._farewell()

    def _turn(self) -> None:
        client, handler = self._wanted()
        poll = select.poll()
        if client:
            poll.register(self._client.fileno(), client)
        if handler:
            poll.register(self._handler.fileno(), handler)
        # Bytes that TLS has decrypted already make no descriptor ready.
        waiting = self._client_talks and len(self._inward) < BUFFER and self._client.pending() > 0
        patience = None if self._handler_talks else PATIENCE * 1000
        if not poll.poll(0 if waiting else patience) and not waiting:
            raise TimeoutError
        self._from_handler()
        self._to_client()
        self._from_client()
        self._to_handler()

    def _wanted(self) -> tuple[int, int]:
        client = handler = 0
        if self._outward:
            client |= self._writing
        if self._client_talks and len(self._inward) < BUFFER:
            client |= self._reading
        if self._inward and self._handler_hears:
            handler |= OUT
        if self._handler_talks and len(self._outward) < BUFFER:
            handler |= IN
        return client, handler

    def _from_handler(self) -> None:
        if not self._handler_talks or len(self._outward) >= BUFFER:
            return
        try:
            block = self._handler.recv(BUFFER)
        except BlockingIOError:
            return
        except ConnectionResetError:
            # It has ended with bytes of the client unread.
            block = b""
        self._handler_talks = bool(block)
        self._outward += block

    def _to_client(self) -> None:
        if not self._outward:
            return
        try:
            done = self._client.send(self._outward)
        except ssl.SSLWantWriteError:
            self._writing = OUT
        except ssl.SSLWantReadError:
            self._writing = IN
        else:
            self._outward = self._outward[done:]
            self._writing = OUT

    def _from_client(self) -> None:
        if not self._client_talks or len(self._inward) >= BUFFER:
            return
        try:
            block = self._client.recv(BUFFER)
        except ssl.SSLWantReadError:
            self._reading = IN
            return
        except ssl.SSLWantWriteError:
            self._reading = OUT
            return
        self._reading = IN
        if block:
            self._inward += block if self._handler_hears else b""
        else:
            self._client_talks = False
            self._end_inward()

    def _to_handler(self) -> None:
        if not self._inward:
            return
        try:
            done = self._handler.send(self._inward)
        except BlockingIOError:
            return
        except OSError:
            # It reads no more: what the client says goes nowhere, as over a plain connection.
            self._handler_hears = False
            self._inward = b""
            return
        self._inward = self._inward[done:]
        self._end_inward()

    def _end_inward(self) -> None:
        if self._client_talks or self._inward or not self._handler_hears:
            return
        self._handler_hears = False
        try:
            self._handler.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _farewell(self) -> None:
        """close_notify, end of our direction, and a moment's patience for the client's."""
        try:
            self._client.unwrap()
        except OSError:
            # It wants the client's close_notify, which need not come; ours is sent.
            pass
        try:
            end = time.monotonic() + FAREWELL
            socket.socket.shutdown(self._client, socket.SHUT_WR)
            poll = select.poll()
            poll.register(self._client.fileno(), IN)
            while (left := end - time.monotonic()) > 0 and poll.poll(left * 1000):
                # Below TLS: nobody wants to know what it is.
                if not socket.socket.recv(self._client, BUFFER):
                    return
        except OSError:
            return
