"""The client's side of queue/socket: how a process that may not write the queue hands in a message.

The wire, all netstrings of at most 65,536 bytes: ORIGIN (may be empty); the message in pieces; an empty one; the
envelope's records in pieces; an empty one. Then the server answers one: "CODE PID", where CODE is qmail-queue's exit
code and PID what the message is called by, our own process id as the server's kernel knows it. Closing earlier
forgets the message.
"""

from __future__ import annotations

import os
import time
from errno import EAGAIN, EALREADY, ECONNREFUSED, EINPROGRESS, ENOENT

from svtree.formats import netstring
from svtree.mail.queue import codes
from svtree.mail.queue.codes import SubmitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_STREAM, socket
else:
    # The Python module around it costs every small program 5 ms.
    from _socket import AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_STREAM, socket

PIECE = 65536
# A server that does not read or answer for so long has a dead disk, in seconds.
SILENCE = 600.0
NOT_YET = {ENOENT, ECONNREFUSED, EAGAIN, EALREADY, EINPROGRESS}
PAUSE = 0.05


class ViaSocket:
    """qmail-queued takes the message."""

    __slots__ = ("_addressing", "_held", "_size", "_socket", "_wire")

    def __init__(self, home: bytes, origin: bytes | None, patience: float) -> None:
        """Connect, waiting up to `patience` seconds for a server that is not there."""
        self._addressing = False
        self._held: list[bytes] = []
        self._size = 0
        self._socket = _connect(home, patience)
        self._socket.settimeout(SILENCE)
        # What has not been sent yet: a message of the usual size leaves in one piece, and wakes the server once.
        self._wire = bytearray(netstring.encode(origin or b""))

    def write(self, data: bytes) -> None:
        """Add to the message."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            self._encode()
            self._send()

    def address(self, records: bytes) -> None:
        """End the message, if it has not ended, and add records of the envelope."""
        if not self._addressing:
            self._encode()
            self._addressing = True
            self._wire += netstring.encode(b"")
        self.write(records)

    def commit(self) -> int:
        """End the envelope and wait for the answer."""
        self.end()
        code, pid = self._answer()
        self.abandon()
        if code:
            raise SubmitError(code)
        return pid

    def end(self) -> None:
        """End the envelope: from here on the server may accept the message."""
        self._encode()
        self._wire += netstring.encode(b"")
        self._send()

    def abandon(self) -> None:
        """Close the connection: before the answer, the message is forgotten."""
        self._held.clear()
        self._socket.close()

    def _encode(self) -> None:
        if self._size:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            for at in range(0, len(data), PIECE):
                self._wire += netstring.encode(data[at : at + PIECE])

    def _send(self) -> None:
        view = memoryview(bytes(self._wire))
        self._wire.clear()
        try:
            while view:
                view = view[self._socket.send(view, MSG_NOSIGNAL) :]
        except TimeoutError as error:
            self.abandon()
            raise SubmitError(codes.TIMED_OUT) from error
        except OSError as error:
            # The server may have said why before it hung up: too large, too many, disk full.
            code = self._last_word()
            self.abandon()
            raise SubmitError(code or codes.COMMUNICATION) from error

    def _answer(self) -> tuple[int, int]:
        decoder = netstring.Decoder(64)
        try:
            while True:
                data = self._socket.recv(128)
                if not data:
                    raise SubmitError(codes.COMMUNICATION)
                for each in decoder.feed(data):
                    code, _, pid = each.partition(b" ")
                    return int(code), int(pid)
        except SubmitError:
            self.abandon()
            raise
        except TimeoutError as error:
            self.abandon()
            raise SubmitError(codes.TIMED_OUT) from error
        except (OSError, ValueError) as error:
            self.abandon()
            raise SubmitError(codes.COMMUNICATION) from error

    def _last_word(self) -> int:
        try:
            return self._answer()[0]
        except SubmitError:
            return 0


def address(home: bytes) -> tuple[bytes, int]:
    """Where queue/socket is, as short as a Unix socket's path must be, and a descriptor to close afterwards."""
    directory = os.open(home + b"/queue", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return b"/proc/self/fd/%d/socket" % directory, directory


def _connect(home: bytes, patience: float) -> socket:
    deadline = time.monotonic() + patience
    while True:
        channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        try:
            _connect_once(channel, home, max(PAUSE, deadline - time.monotonic()))
            return channel
        except OSError as error:
            channel.close()
            late = time.monotonic() >= deadline
            if late or not (isinstance(error, TimeoutError) or error.errno in NOT_YET):
                raise SubmitError(codes.NOT_CONNECTED if late else codes.QUEUE_DIRECTORY) from error
        time.sleep(PAUSE)


def _connect_once(channel: socket, home: bytes, seconds: float) -> None:
    path, directory = address(home)
    try:
        channel.settimeout(seconds)
        channel.connect(path)
    finally:
        os.close(directory)
