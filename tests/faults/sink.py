"""Another host's SMTP server: takes mail on a listening socket, one connection at a time, and says when it has."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from typing import BinaryIO

# Called with the recipient and the message before the client is told that it has been taken.
Taken = Callable[[bytes, bytes], None]
# What to answer to a recipient who is not taken, or None.
Refuse = Callable[[bytes], bytes | None]


def serve(listener: socket.socket, taken: Taken, refuse: Refuse) -> None:
    """Until the listener is shut down."""
    while True:
        try:
            connection = listener.accept()[0]
        except OSError:
            return
        with connection, connection.makefile("rb") as said, contextlib.suppress(OSError):
            connection.sendall(b"220 sink.example\r\n")
            _converse(connection, said, taken, refuse)


def _converse(connection: socket.socket, said: BinaryIO, taken: Taken, refuse: Refuse) -> None:
    recipient = b""
    while line := said.readline():
        verb = line.split()[0].upper()
        answer = b"250 ok"
        if verb == b"RCPT":
            (recipient,) = re.findall(rb"<(.*)>", line)
            answer = refuse(recipient) or answer
        elif verb == b"DATA":
            connection.sendall(b"354 go ahead\r\n")
            message = []
            while (line := said.readline()) != b".\r\n":
                if not line:
                    # The client has died: nothing was taken.
                    return
                message.append(line)
            taken(recipient, b"".join(message))
        elif verb == b"QUIT":
            answer = b"221 sink.example"
        connection.sendall(answer + b"\r\n")


def refuse(recipient: bytes) -> bytes | None:
    """One whose name begins with "no" is not taken, for ever."""
    return b"550 nobody here by that name" if recipient.startswith(b"no") else None
