"""A running tcpserver and its clients, for tests."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE, PATH, Processes, Word, ours, run, until

# No names are asked for, so that nothing depends on the machine's resolver.
NAMELESS = ("-H", "-R", "-l", "here")
SHOW_ENVIRONMENT = ("sh", "-c", "env | grep -E '^(PROTO|TCP|RELAYCLIENT)' | sort")


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


class Serving:
    """One tcpserver: where it listens, what it has logged, whom it has started."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def log(self) -> list[str]:
        """The complete lines on standard error so far."""
        return self._log.read_text("latin-1").splitlines()

    def until_logged(self, pattern: str, count: int = 1, *, seconds: float = DEADLINE) -> list[re.Match[str]]:
        """Wait until so many lines match; return the matches."""

        def seen() -> list[re.Match[str]]:
            found = [match for line in self.log() if (match := re.search(pattern, line))]
            return found if len(found) >= count else []

        return until(seen, seconds, f"{count} lines like {pattern} in {self._log}")

    def client(self, ip: str = "127.0.0.1", *, timeout: float = DEADLINE) -> socket.socket:
        """A connection from this address."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout, source_address=(ip, 0))

    def get(self, ip: str = "127.0.0.1", say: bytes = b"") -> bytes:
        """What the server sends to a client from this address that says this and then nothing more."""
        with self.client(ip) as client:
            if say:
                client.sendall(say)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            return everything(client)

    def children(self) -> list[psutil.Process]:
        """Its child processes."""
        return psutil.Process(self.process.pid).children()

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> int:
        """TERM; the exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE)


def everything(client: socket.socket) -> bytes:
    """What comes until the end; a reset is an end too."""
    parts = []
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def serve(
    processes: Processes,
    folder: Path,
    *words: Word,
    options: Sequence[Word] = NAMELESS,
    program: Word | None = None,
    before: Sequence[Word] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Serving:
    """Start tcpserver (ours, or `program`) with -v and these options and the handler `words`, logging into `folder`.

    `before` are words of a command that runs it.
    """
    log = folder / f"log.{len(list(folder.glob('log.*')))}"
    argv = [*before, program or ours("tcpserver"), "-v1", *options, host, str(port), *words]
    with log.open("wb") as stderr:
        process = processes.start(argv, env=env, cwd=folder, stderr=stderr.fileno(), pass_fds=pass_fds)
    assert process.stdout is not None
    told = process.stdout.readline()
    assert told, log.read_text()
    server = Serving(process, int(told), log)
    if "-Q" not in options:
        server.until_logged("^tcpserver: status: 0/")
    return server


def compile_rules(folder: Path, text: str, name: str = "rules.cdb") -> Path:
    """Compile rules with our tcprules into a cdb in `folder`."""
    done = run([ours("tcprules"), name, f"{name}.tmp"], stdin=text.encode(), cwd=folder)
    assert done.code == 0, done.err
    return folder / name


@contextlib.contextmanager
def connected(server: Serving, count: int) -> Iterator[list[socket.socket]]:
    """So many clients at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.client()) for _ in range(count)]


def smtp_home(folder: Path) -> dict[str, str]:
    """A qmail directory for qmail-smtpd, our handler that needs nothing else; its environment."""
    (folder / "control").mkdir(exist_ok=True)
    (folder / "control/me").write_text("host.example\n")
    (folder / "control/rcpthosts").write_text("host.example\n")
    return {"QMAILHOME": str(folder), "PATH": PATH}


def greeting(client: socket.socket) -> bytes:
    """The first line from the server."""
    line = b""
    while not line.endswith(b"\n"):
        part = client.recv(512)
        assert part, line
        line += part
    return line
