"""A program with a client on its descriptors 0 and 1, as tcpserver would start it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests import harness

DEADLINE = 20.0


@dataclass(frozen=True)
class Served:
    """A client's connection and the process that serves it."""

    client: socket.socket
    process: subprocess.Popen[bytes]

    def line(self) -> bytes:
        """The next line the server says, with its end; empty at the end of file."""
        said = b""
        while not said.endswith(b"\n"):
            byte = self.client.recv(1)
            if not byte:
                break
            said += byte
        return said

    def ask(self, command: bytes) -> bytes:
        """Send a command line, return the line that answers it."""
        self.client.sendall(command + b"\r\n")
        return self.line()

    def rest(self) -> bytes:
        """Everything the server says until it closes."""
        said = b""
        # A server that closes with something unread resets the connection.
        with contextlib.suppress(ConnectionResetError):
            while block := self.client.recv(65536):
                said += block
        return said

    def end(self) -> tuple[int, bytes]:
        """Close, wait for the process, return its exit code and standard error."""
        self.client.close()
        _, said = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, said


@contextlib.contextmanager
def serve(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Run one of our programs with its chain for one client; both are gone at the end."""
    client, server = socket.socketpair()
    with client, server:
        client.settimeout(DEADLINE)
        process = subprocess.Popen(
            [harness.ours(argv[0]), *argv[1:]],
            stdin=server.fileno(),
            stdout=server.fileno(),
            stderr=subprocess.PIPE,
            env=harness.environment(env),
        )
        server.close()
        try:
            yield Served(client, process)
        finally:
            client.close()
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stderr is not None
            process.stderr.close()
