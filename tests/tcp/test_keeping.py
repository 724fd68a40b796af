"""The listening socket outlives tcpserver: a supervisor of the test's own keeps it, as ours does."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.system.descriptors import duplicate
from svtree.system.sockets import receive
from svtree.system.spawn import spawn
from tests.harness import DEADLINE, environment, ours, until
from tests.tcp.serving import everything


class Supervisor:
    """Starts tcpserver again and again, and keeps what it is given to keep."""

    def __init__(self, folder: Path, *handler: str, port: int = 0) -> None:
        self.folder = folder
        self.handler = handler
        self.port = port
        self.pid = 0
        self.kept: socket.socket | None = None
        self.said: list[bytes] = []
        self.notify = self._bind()

    def _bind(self) -> socket.socket:
        path = self.folder / "notify"
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        made.settimeout(DEADLINE)
        return made

    def die_and_be_replaced(self) -> None:
        """What it knew and kept is gone; another one is at the same place."""
        self.notify.close()
        if self.kept is not None:
            self.kept.close()
            self.kept = None
        self.notify = self._bind()

    def start(self, *options: str) -> None:
        """Start tcpserver as a supervisor does: by vfork, its socket at 3, no LISTEN_PID."""
        argv = [ours("tcpserver"), "-v", "-HRlhere", *options, "127.0.0.1", str(self.port), *self.handler]
        env = environment({"NOTIFY_SOCKET": str(self.folder / "notify")})
        with contextlib.ExitStack() as stack:
            log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, log)
            descriptors = {2: log}
            if self.kept is not None:
                descriptors[3] = duplicate(self.kept.fileno(), 10)
                stack.callback(os.close, descriptors[3])
                env |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "listen"}
            environ = {name.encode(): value.encode() for name, value in env.items()}
            self.pid = spawn(argv[0].encode(), [os.fsencode(word) for word in argv], environ, descriptors=descriptors)

    def listen(self) -> bytes:
        """The next message; a descriptor that comes with it is kept."""
        message, descriptors = receive(self.notify, 4096, 4)
        self.said.append(message)
        for descriptor in descriptors:
            if self.kept is not None:
                self.kept.close()
            self.kept = socket.socket(fileno=descriptor)
            self.port = self.kept.getsockname()[1]
        return message

    def until_ready(self) -> list[bytes]:
        """Take messages up to READY=1; return them all."""
        first = len(self.said)
        while self.listen() != b"READY=1":
            pass
        return self.said[first:]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End tcpserver; its wait status."""
        pid, self.pid = self.pid, 0
        os.kill(pid, number)
        return os.waitpid(pid, 0)[1]

    def close(self) -> None:
        """End and close everything."""
        if self.pid:
            self.stop(signal.SIGKILL)
        self.notify.close()
        if self.kept is not None:
            self.kept.close()

    def get(self) -> bytes:
        """What a client is told."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as client:
            return everything(client)


@pytest.fixture
def supervisor(folder: Path) -> Iterator[Supervisor]:
    """A supervisor whose tcpserver says "here" to every client."""
    made = Supervisor(folder, "echo", "here")
    yield made
    made.close()


STORE = b"FDSTORE=1\nFDNAME=listen"


def test_the_socket_is_handed_over_once_and_then_readiness_is_told(supervisor: Supervisor) -> None:
    supervisor.start()
    assert supervisor.until_ready() == [STORE, b"READY=1"]
    assert supervisor.get() == b"here\n"
    supervisor.stop()
    # Handed back, it is not sent again.
    supervisor.start()
    assert supervisor.until_ready() == [b"READY=1"]
    assert supervisor.get() == b"here\n"


def test_clients_that_come_while_nobody_serves_wait(supervisor: Supervisor) -> None:
    supervisor.start()
    supervisor.until_ready()
    supervisor.stop()
    with socket.create_connection(("127.0.0.1", supervisor.port), timeout=DEADLINE) as client:
        supervisor.start()
        assert everything(client) == b"here\n"


def test_twenty_restarts_under_load_refuse_and_reset_nobody(supervisor: Supervisor) -> None:
    supervisor.start("-b100")
    supervisor.until_ready()
    served: list[bytes] = []
    failed: list[OSError] = []
    done = threading.Event()

    def connect() -> None:
        while not done.is_set():
            try:
                served.append(supervisor.get())
            except OSError as error:
                failed.append(error)

    clients = [threading.Thread(target=connect) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(20):
            before = len(served)
            assert supervisor.stop() == 0
            supervisor.start("-b100")
            supervisor.until_ready()
            until(lambda before=before: len(served) > before + 3)  # type: ignore[misc]
    finally:
        done.set()
        for client in clients:
            client.join()
    assert failed == []
    assert set(served) == {b"here\n"}


def test_killed_it_refuses_nobody_either(supervisor: Supervisor) -> None:
    supervisor.start()
    supervisor.until_ready()
    for _ in range(3):
        assert supervisor.stop(signal.SIGKILL) == signal.SIGKILL
        with socket.create_connection(("127.0.0.1", supervisor.port), timeout=DEADLINE) as client:
            supervisor.start()
            supervisor.until_ready()
            assert everything(client) == b"here\n"


def test_the_next_supervisor_is_given_the_socket_too(supervisor: Supervisor) -> None:
    supervisor.start()
    supervisor.until_ready()
    supervisor.die_and_be_replaced()
    assert supervisor.kept is None
    assert supervisor.until_ready() == [STORE, b"READY=1"]
    supervisor.stop()
    with socket.create_connection(("127.0.0.1", supervisor.port), timeout=DEADLINE) as client:
        supervisor.start()
        assert everything(client) == b"here\n"


def test_the_next_supervisor_is_given_a_socket_that_came_from_the_first(supervisor: Supervisor) -> None:
    supervisor.start()
    supervisor.until_ready()
    supervisor.stop()
    supervisor.start()
    supervisor.until_ready()
    supervisor.die_and_be_replaced()
    assert supervisor.until_ready() == [STORE, b"READY=1"]


def test_a_supervisor_that_is_not_there_at_first_is_found_later(supervisor: Supervisor, folder: Path) -> None:
    (folder / "notify").unlink()
    supervisor.start()
    until(lambda: b"status: 0/40" in (folder / "log").read_bytes())
    supervisor.die_and_be_replaced()
    assert supervisor.until_ready() == [STORE, b"READY=1"]


def test_a_socket_for_another_address_is_given_up_and_replaced(supervisor: Supervisor) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        supervisor.kept = other
        supervisor.start()
        assert supervisor.until_ready() == [b"FDSTOREREMOVE=1\nFDNAME=listen", STORE, b"READY=1"]
        assert supervisor.kept is not other
        assert supervisor.get() == b"here\n"
        # It may still have the client's.
        until(lambda: sockets(supervisor.pid) == 2)


def sockets(pid: int) -> int:
    """How many a process has open."""
    held = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    return sum(target.startswith("socket:") for target in held)


def test_a_socket_that_somebody_has_shut_down_ends_it_and_is_not_used_again(supervisor: Supervisor) -> None:
    supervisor.start()
    supervisor.until_ready()
    assert supervisor.kept is not None
    supervisor.kept.shutdown(socket.SHUT_RDWR)
    pid, supervisor.pid = supervisor.pid, 0
    assert os.waitpid(pid, 0)[1] == 111 << 8
    last = (supervisor.folder / "log").read_bytes().splitlines()[-1]
    assert last == b"tcpserver: fatal: unable to accept: invalid argument"
    supervisor.start()
    assert supervisor.until_ready() == [b"FDSTOREREMOVE=1\nFDNAME=listen", STORE, b"READY=1"]
    assert supervisor.get() == b"here\n"


def test_the_backlog_that_is_asked_for_now_holds(supervisor: Supervisor) -> None:
    supervisor.start("-b1")
    supervisor.until_ready()
    supervisor.stop()
    supervisor.start("-b50", "-c0")
    supervisor.until_ready()
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            address = ("127.0.0.1", supervisor.port)
            stack.enter_context(socket.create_connection(address, timeout=DEADLINE))


def test_handlers_see_nothing_of_the_supervisor(folder: Path) -> None:
    made = Supervisor(folder, "sh", "-c", "env; ls -l /proc/self/fd")
    try:
        made.start()
        made.until_ready()
        made.stop()
        made.start()
        told = made.get().decode()
        assert "TCPREMOTEIP=127.0.0.1" in told
        assert "LISTEN_" not in told
        assert "NOTIFY_" not in told
        assert told.count("socket:") == 2
    finally:
        made.close()


def test_two_started_at_once_share_the_socket_without_a_loss(supervisor: Supervisor) -> None:
    supervisor.start()
    supervisor.until_ready()
    first = supervisor.pid
    supervisor.start()
    supervisor.until_ready()
    assert {supervisor.get() for _ in range(20)} == {b"here\n"}
    os.kill(first, signal.SIGTERM)
    os.waitpid(first, 0)
    assert supervisor.get() == b"here\n"
