"""Clients for bench_mail: so many at once speak SMTP or POP3 for a while, and are counted."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = b"bench.example"
USER, PASSWORD = b"jiro", b"secret"
# 2 kB, as it goes over the wire.
MESSAGE = b"Subject: bench\r\n\r\n" + (b"y" * 78 + b"\r\n") * 25


class Line:
    """A connection on which one thing is said at a time."""

    def __init__(self, port: int) -> None:
        """Connects."""
        self._socket = socket.create_connection(("127.0.0.1", port), 60)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def hear(self, wanted: bytes, end: bytes = b"\n") -> None:
        """Wait for an answer that begins as it should."""
        said = b""
        while not said.endswith(end):
            block = self._socket.recv(65536)
            if not block:
                break
            said += block
        if not said.startswith(wanted):
            raise ValueError(f"wanted {wanted!r}, got {said!r}")

    def say(self, text: bytes, wanted: bytes, end: bytes = b"\n") -> None:
        """Say a line, and wait for its answer."""
        self._socket.sendall(text + b"\r\n")
        self.hear(wanted, end)


def smtp(port: int, until: float, messages: int, recipients: int) -> int:
    """One connection with so many messages, if there is time for them; how many were accepted."""
    line = Line(port)
    line.hear(b"220")
    line.say(b"HELO bench", b"250")
    accepted = 0
    while accepted < messages and (not accepted or time.monotonic() < until):
        line.say(b"MAIL FROM:<sender@elsewhere.example>", b"250")
        for number in range(recipients):
            line.say(b"RCPT TO:<%s-%d@%s>" % (USER, number, HOST), b"250")
        line.say(b"DATA", b"354")
        line.say(MESSAGE + b".", b"250")
        accepted += 1
    line.say(b"QUIT", b"221")
    line.close()
    return accepted


def pop3(port: int, _: float) -> int:
    """One session: look what there is, read one message, leave it there."""
    line = Line(port)
    line.hear(b"+OK")
    line.say(b"USER " + USER, b"+OK")
    line.say(b"PASS " + PASSWORD, b"+OK")
    line.say(b"STAT", b"+OK")
    line.say(b"UIDL", b"+OK", b"\r\n.\r\n")
    line.say(b"RETR 1", b"+OK", b"\r\n.\r\n")
    line.say(b"QUIT", b"+OK")
    line.close()
    return 1


def rate(session: Callable[[int, float], int], port: int, clients: int, seconds: float) -> float:
    """What so many clients count a second, each a process that does nothing else."""
    out, into = os.pipe()
    begin = time.monotonic()
    end = begin + seconds
    children = []
    for _ in range(clients):
        pid = os.fork()
        if not pid:
            code = 111
            try:
                count = 0
                while time.monotonic() < end:
                    count += session(port, end)
                os.write(into, b"%d\n" % count)
                code = 0
            except (OSError, ValueError) as error:
                print(f"bench_mail: a client failed: {error}", file=sys.stderr)
            finally:
                os._exit(code)
        children.append(pid)
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
    taken = time.monotonic() - begin
    os.close(into)
    with os.fdopen(out) as answers:
        total = sum(map(int, answers))
    if failed:
        raise SystemExit(f"bench_mail: {failed} of {clients} clients failed")
    return total / taken
