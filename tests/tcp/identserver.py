"""A small ident server, for tests."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Iterator

from tests.harness import DEADLINE


@contextlib.contextmanager
def identserver(answer: bytes | None, ip: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """Answer every question with this, or with silence; yield the port and the questions. Port 113 is root's."""
    asked: list[bytes] = []
    with socket.create_server((ip, port)) as listener:
        stop, stopping = os.pipe()

        def serve() -> None:
            with contextlib.ExitStack() as silent:
                while True:
                    ready = set(select.select([listener.fileno(), stop], [], [])[0])
                    if stop in ready:
                        return
                    connection, _ = listener.accept()
                    connection.settimeout(DEADLINE)
                    with contextlib.suppress(OSError):
                        asked.append(connection.recv(512))
                    if answer is None:
                        silent.enter_context(connection)
                        continue
                    with connection, contextlib.suppress(OSError):
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], asked
        finally:
            os.close(stopping)
            thread.join()
            os.close(stop)
