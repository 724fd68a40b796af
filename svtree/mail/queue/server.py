"""The server's side of queue/socket: writes what others hand in, as the queue's owner. Its wire is in client.py.

One process and one loop: data goes straight into files, and all messages whose envelope is complete in one turn are
put on disk together (writer.commit). Who asks is what the kernel says (SO_PEERCRED), never what they say. Everything
is bounded: connections in all and a uid, bytes and recipients a message, messages a minute, silence, and life.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from svtree.formats import envelope, netstring
from svtree.formats.record import record
from svtree.mail.queue import codes, submit, writer
from svtree.mail.queue.client import PIECE
from svtree.mail.queue.codes import SubmitError
from svtree.mail.queue.committing import Applicant, Committer
from svtree.system.loop import READ

if TYPE_CHECKING:
    from svtree.system.loop import Loop

CREDENTIALS = 12
BACKLOG = 511
# A client whose own client is slow may be silent for as long as SMTP allows and more, in seconds.
SILENCE = 3600.0
# After TERM, running submissions have so long to end.
FAREWELL = 30.0
# A longer origin is none that we know.
LONGEST_ORIGIN = 16
MINUTE = 60.0


@record
class Limits:
    """What one message and one uid may be; per_uid and per_minute are not for root, the queue's owner and services."""

    connections: int = 400
    per_uid: int = 100
    message: int = 256 << 20
    recipients: int = 100_000
    per_minute: int = 3000


class _Client:
    """One connection and the message that comes over it."""

    __slots__ = ("born", "complete", "count", "decoder", "entry", "heard", "pid", "reader", "size", "socket", "uid")

    def __init__(self, connection: socket.socket, uid: int, pid: int, now: float) -> None:
        self.socket = connection
        self.uid = uid
        self.pid = pid
        self.decoder = netstring.Decoder(PIECE)
        self.entry: writer.Entry | None = None
        self.reader: envelope.Reader | None = None
        self.size = 0
        self.count = 0
        self.complete = False
        self.born = self.heard = now


class Server:
    """Takes messages on a listening socket until told to stop."""

    def __init__(self, queue: writer.Queue, listener: socket.socket, loop: Loop, limits: Limits) -> None:
        """Closes the listener when it stops; everything else stays the caller's."""
        self._queue = queue
        self._listener = listener
        self._loop = loop
        self._limits = limits
        self._clients: dict[int, _Client] = {}
        self._committer = Committer(queue, loop)
        self._rates: dict[int, int] = {}
        self._stopping = False
        self._listening = False
        self._trusted = {0, queue.owner, os.geteuid()}
        # Bounded by tcpserver or by what they deliver, as in the original.
        self._services = self._trusted | submit.service_uids()
        # How many connections each uid has.
        self._crowd: dict[int, int] = {}
        listener.setblocking(False)
        self._listen()
        self._loop.after(MINUTE, self._every_minute)

    def stop(self) -> None:
        """Take no more connections, let those that are open end, then stop the loop."""
        if self._stopping:
            return
        self._stopping = True
        self._loop.forget(self._listener.fileno())
        # Closed at once: who comes now waits with the supervisor, or finds a successor that need not wait for us.
        self._listener.close()
        self._loop.after(FAREWELL, self._loop.stop)
        self._end_if_idle()

    def close(self) -> None:
        """Forget the messages that are not complete."""
        self._committer.close()
        for client in list(self._clients.values()):
            self._drop(client)

    # -------------------------------------------------------------------------------------------------- connections

    def _accept(self, _: int) -> None:
        for _ in range(64):
            try:
                connection = self._listener.accept()[0]
            except BlockingIOError:
                return
            except OSError:
                # No descriptor is left, most likely; looking again at once would only burn the processor.
                self._pause()
                self._loop.after(1, self._listen)
                return
            self._welcome(connection)
            if len(self._clients) >= self._limits.connections:
                # The others wait in the backlog until one has gone.
                self._pause()
                return

    def _welcome(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS)
        except OSError:
            connection.close()
            return
        pid, uid = (int.from_bytes(credentials[at : at + 4], sys.byteorder) for at in (0, 4))
        client = _Client(connection, uid, pid, self._loop.clock.monotonic())
        descriptor = connection.fileno()
        self._clients[descriptor] = client
        self._crowd[uid] = self._crowd.get(uid, 0) + 1
        if uid not in self._services and self._crowd[uid] > self._limits.per_uid:
            self._answer(client, codes.REFUSED_NOW)
            return
        self._loop.watch(descriptor, READ, lambda _: self._read(client))

    def _read(self, client: _Client) -> None:
        try:
            data = client.socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.heard = self._loop.clock.monotonic()
        try:
            for piece in client.decoder.feed(data):
                self._take(client, piece)
        except netstring.NetstringError:
            self._answer(client, codes.BAD_ENVELOPE)
        except envelope.TooLongError:
            self._answer(client, codes.TOO_LONG)
        except envelope.EnvelopeError:
            self._answer(client, codes.BAD_ENVELOPE)
        except SubmitError as error:
            self._answer(client, error.code)

    # ------------------------------------------------------------------------------------------------------ messages

    def _take(self, client: _Client, piece: bytes) -> None:
        """The next piece of what a client sends: origin, message, envelope, in this order."""
        if client.complete:
            return
        if client.entry is None:
            self._begin(client, piece)
        elif client.reader is None:
            if not piece:
                client.reader = envelope.Reader()
                return
            client.size += len(piece)
            if client.size > self._limits.message:
                raise SubmitError(codes.REJECTED)
            client.entry.write(piece)
        elif piece:
            client.count += piece.count(b"\0")
            # One NUL more than recipients: the sender's.
            if client.count > self._limits.recipients + 1:
                raise SubmitError(codes.REJECTED)
            records = client.reader.feed(piece)
            if records:
                client.entry.address(records)
        else:
            self._complete(client)

    def _begin(self, client: _Client, origin: bytes) -> None:
        if not self._allow(client.uid):
            raise SubmitError(codes.REFUSED_NOW)
        # Only who might write the queue himself is believed.
        believed = origin if client.uid in self._trusted and origin else None
        invoker = submit.invoker(client.uid, believed, self._queue.owner)
        client.entry = writer.Entry(self._queue, client.uid, client.pid, invoker)

    def _complete(self, client: _Client) -> None:
        if client.entry is None or client.reader is None or not client.reader.whole:
            raise SubmitError(codes.READ)
        client.entry.ready()
        client.complete = True
        self._loop.forget(client.socket.fileno())
        self._committer.accept(Applicant(client.entry, lambda failure: self._committed(client, failure)))

    def _committed(self, client: _Client, failure: SubmitError | None) -> None:
        client.entry = None
        self._answer(client, failure.code if failure is not None else 0)

    def _allow(self, uid: int) -> bool:
        if uid in self._services:
            return True
        self._rates[uid] = self._rates.get(uid, 0) + 1
        return self._rates[uid] <= self._limits.per_minute

    def _every_minute(self) -> None:
        """Forget the rates and end what has been silent or open too long."""
        self._rates.clear()
        now = self._loop.clock.monotonic()
        for client in list(self._clients.values()):
            if now - client.heard > SILENCE or now - client.born > writer.LIFETIME:
                self._answer(client, codes.TIMED_OUT)
        self._loop.after(MINUTE, self._every_minute)

    # ----------------------------------------------------------------------------------------------------------- ends

    def _answer(self, client: _Client, code: int) -> None:
        """Say how it ended; a client that does not listen has only itself to blame."""
        try:
            client.socket.send(netstring.encode(b"%d %d" % (code, client.pid)), socket.MSG_NOSIGNAL)
        except OSError:
            pass
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        descriptor = client.socket.fileno()
        if self._clients.pop(descriptor, None) is None:
            return
        self._loop.forget(descriptor)
        self._crowd[client.uid] -= 1
        if not self._crowd[client.uid]:
            del self._crowd[client.uid]
        if client.entry is not None and not client.complete:
            client.entry.abandon()
        client.socket.close()
        if not self._listening:
            self._listen()
        self._end_if_idle()

    def _listen(self) -> None:
        if not self._stopping:
            self._loop.watch(self._listener.fileno(), READ, self._accept)
            self._listening = True

    def _pause(self) -> None:
        self._loop.forget(self._listener.fileno())
        self._listening = False

    def _end_if_idle(self) -> None:
        if self._stopping and not self._clients:
            self._loop.stop()
