"""Small TCP servers for the clients' tests: one that says something and hangs up, one that never answers a call."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.harness import DEADLINE


@dataclass
class Answering:
    """Where it listens, and what its clients have said, each to its end or to the first pause."""

    ip: str
    port: int
    heard: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def answering(*says: bytes, ip: str = "127.0.0.1", port: int = 0, until: bytes | None = None) -> Iterator[Answering]:
    """Say these pieces to every client, then hang up; with `until`, hear out the client up to that first."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.create_server((ip, port), family=family) as listener:
        stop, stopping = os.pipe()
        server = Answering(ip, listener.getsockname()[1])

        def serve() -> None:
            while True:
                ready = set(select.select([listener.fileno(), stop], [], [])[0])
                if stop in ready:
                    return
                connection, _ = listener.accept()
                connection.settimeout(DEADLINE)
                with connection, contextlib.suppress(OSError):
                    heard = b""
                    while until is not None and until not in heard:
                        block = connection.recv(65536)
                        if not block:
                            break
                        heard += block
                    server.heard.append(heard)
                    for piece in says:
                        connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            os.close(stopping)
            thread.join()
            os.close(stop)


@contextlib.contextmanager
def unanswering(ip: str) -> Iterator[int]:
    """A port where calls come in and nobody takes them, so that connecting takes for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((ip, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(3):
            # The first one or two fill the queue.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((ip, port))
        yield port
