"""systemd as a supervisor of ours meets it: a notify socket, a store of descriptors, and starts that hand them down."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from svtree.system.descriptors import duplicate
from svtree.system.sockets import receive
from svtree.system.spawn import spawn
from tests.harness import DEADLINE, Word, environment, until
from tests.supervision.driver import alive

# posix_spawn cannot know the pid beforehand; what it starts can.
WITH_PID = ("/bin/sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh")


class Systemd:
    """Starts one supervisor, again and again; does for it what its messages ask, when it is asked to listen."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "above"
        self._log = folder / "above.log"
        self.said: list[bytes] = []
        self.kept: list[tuple[bytes, int]] = []
        self.pid = 0
        self.socket = self._bind()

    def _bind(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(self._path))
        made.settimeout(DEADLINE)
        return made

    def start(self, *argv: Word, env: Mapping[str, str] | None = None) -> None:
        """Start the supervisor, with what is kept from descriptor 3 on."""
        given = environment({"NOTIFY_SOCKET": str(self._path), **(env or {})})
        words = [os.fsencode(word) for word in (*WITH_PID, *argv)]
        with contextlib.ExitStack() as stack:
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, log)
            descriptors = {1: log, 2: log}
            for at, (_, kept) in enumerate(self.kept):
                descriptors[3 + at] = duplicate(kept, 100)
                stack.callback(os.close, descriptors[3 + at])
            if self.kept:
                given |= {"LISTEN_FDS": str(len(self.kept))}
                given |= {"LISTEN_FDNAMES": ":".join(name.decode() for name, _ in self.kept)}
            environ = {name.encode(): value.encode() for name, value in given.items()}
            self.pid = spawn(words[0], words, environ, descriptors=descriptors)

    def listen(self) -> bytes:
        """Take the next message, and do as it says."""
        message, descriptors = receive(self.socket, 4096, 4)
        self.said.append(message)
        fields = dict(line.partition(b"=")[::2] for line in message.split(b"\n"))
        name = fields.get(b"FDNAME", b"stored")
        if fields.get(b"FDSTOREREMOVE") == b"1":
            for _, kept in self._named(name):
                os.close(kept)
            self.kept = [each for each in self.kept if each[0] != name]
        assert bool(descriptors) == (fields.get(b"FDSTORE") == b"1")
        self.kept += [(name, descriptor) for descriptor in descriptors]
        return message

    def until_said(self, message: bytes) -> list[bytes]:
        """Listen up to this message, which is still to come; what else was said before it."""
        first = len(self.said)
        while self.listen() != message:
            pass
        return self.said[first:-1]

    def names(self) -> list[bytes]:
        """Of all that is kept."""
        return sorted(name for name, _ in self.kept)

    def _named(self, name: bytes) -> list[tuple[bytes, int]]:
        return [each for each in self.kept if each[0] == name]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the supervisor; its exit code, or minus the signal."""
        os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        """The end of the supervisor, which is not long in coming."""
        pid, self.pid = self.pid, 0
        until(lambda: not alive(pid), what="the end of the supervisor")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def be_replaced(self) -> None:
        """Another one, which knows nothing and keeps nothing, is at the same place."""
        self.socket.close()
        self._forget()
        self.socket = self._bind()

    def close(self) -> None:
        """End and close everything."""
        if self.pid:
            self.stop()
        self.socket.close()
        self._forget()

    def _forget(self) -> None:
        for _, kept in self.kept:
            os.close(kept)
        self.kept = []
