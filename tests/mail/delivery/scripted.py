"""An SMTP server that says what a test tells it to, over a real socket, and keeps what it heard."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.harness import DEADLINE

# In place of a reply: close the connection, reset it, or say nothing until the client has gone.
CLOSE = b"<close>"
RESET = b"<reset>"
SILENCE = b"<silence>"

POLITE: Mapping[str, bytes] = {
    "greeting": b"220 there.example ESMTP\r\n",
    "HELO": b"250 there.example\r\n",
    "MAIL": b"250 sender ok\r\n",
    "RCPT": b"250 recipient ok\r\n",
    "DATA": b"354 go ahead\r\n",
    "message": b"250 ok 1234 qp 5678\r\n",
}


@dataclass
class Heard:
    """One connection: the lines of commands, and what came between DATA and the final dot."""

    commands: list[bytes] = field(default_factory=list)
    message: bytes | None = None


class ScriptedServer:
    """Listens on `address`; `replies` by verb (or by whole command line) take the place of the polite ones."""

    def __init__(
        self, replies: Mapping[str, bytes] | None = None, *, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.replies = {**POLITE, **(replies or {})}
        self.heard: list[Heard] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            heard = Heard()
            self.heard.append(heard)
            with connection, contextlib.suppress(OSError):
                connection.settimeout(DEADLINE)
                self._talk(connection, heard)

    def _talk(self, connection: socket.socket, heard: Heard) -> None:
        if not self._say(connection, "greeting"):
            return
        with connection.makefile("rb") as lines:
            for line in lines:
                heard.commands.append(line)
                verb = line[:4].decode("latin-1").upper()
                if verb == "QUIT":
                    return
                whole = line.decode("latin-1").rstrip("\r\n")
                if not self._say(connection, whole if whole in self.replies else verb):
                    return
                if verb == "DATA" and self.replies["DATA"].startswith(b"3"):
                    if self.replies["message"] == RESET:
                        lines.read1(10)
                    else:
                        heard.message = b"".join(_message(lines))
                    if not self._say(connection, "message"):
                        return

    def _say(self, connection: socket.socket, what: str) -> bool:
        # Whatever is no command: a handshake that it cannot make.
        reply = self.replies.get(what, CLOSE)
        if reply == CLOSE:
            return False
        if reply == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply == SILENCE:
            while connection.recv(4096):
                continue
            return False
        connection.sendall(reply)
        return True


def _message(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line == b".\r\n":
            return
        yield line
