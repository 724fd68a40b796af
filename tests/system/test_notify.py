"""The client's side of sd_notify."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from svtree.system.notify import Notifier, from_environment
from tests.harness import DEADLINE


@pytest.fixture
def directory(folder: Path) -> Path:
    """A directory whose path is too long for a socket's address."""
    long = folder / ("d" * 100) / ("e" * 100)
    long.mkdir(parents=True)
    return long


def supervisor(path: Path) -> socket.socket:
    """Bind a new datagram socket at a path of any length, in the place of what is there."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.settimeout(DEADLINE)
    at = os.open(path.parent, os.O_PATH)
    try:
        made.bind(f"/proc/self/fd/{at}/{path.name}")
    finally:
        os.close(at)
    return made


@pytest.mark.parametrize("depth", ["short", "long"])
def test_lines_and_descriptors_arrive(folder: Path, directory: Path, depth: str) -> None:
    path = (folder if depth == "short" else directory) / "notify"
    with supervisor(path) as server:
        notifier = from_environment({b"NOTIFY_SOCKET": bytes(path)})
        assert notifier is not None
        with open("/dev/null", "rb") as something:
            notifier.tell(b"FDSTORE=1", b"FDNAME=listen", descriptors=(something.fileno(),))
        notifier.tell(b"READY=1")
        message, descriptors, _, _ = socket.recv_fds(server, 4096, 4)
        assert (message, [os.readlink(f"/proc/self/fd/{each}") for each in descriptors]) == (
            b"FDSTORE=1\nFDNAME=listen",
            ["/dev/null"],
        )
        os.close(descriptors[0])
        assert server.recv(4096) == b"READY=1"
        notifier.close()


def test_an_abstract_name_is_reached_and_never_stale() -> None:
    name = f"svtree-test-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(f"\0{name}")
        notifier = from_environment({b"NOTIFY_SOCKET": b"@" + name.encode()})
        assert notifier is not None
        notifier.tell(b"READY=1")
        assert server.recv(4096) == b"READY=1"
        assert not notifier.stale()
        notifier.close()


def test_a_supervisor_that_has_been_replaced_is_noticed(folder: Path) -> None:
    path = folder / "notify"
    with supervisor(path):
        notifier = Notifier(bytes(path))
        assert notifier.stale()
        notifier.connect()
        assert not notifier.stale()
    # Dead, and nobody in its place yet.
    assert not notifier.stale()
    with pytest.raises(ConnectionRefusedError):
        notifier.tell(b"READY=1")
    with supervisor(path) as successor:
        assert notifier.stale()
        notifier.connect()
        notifier.tell(b"READY=1")
        assert successor.recv(4096) == b"READY=1"
        assert not notifier.stale()
    notifier.close()


def test_a_supervisor_that_does_not_read_holds_nobody_up(folder: Path) -> None:
    with supervisor(folder / "notify"):
        notifier = Notifier(bytes(folder / "notify"))
        notifier.connect()
        with pytest.raises(BlockingIOError):
            _tell_for_ever(notifier)
        notifier.close()


@pytest.mark.parametrize("where", [b"", b"relative", b"/", b"@"])
def test_an_address_that_is_none_means_no_supervisor(where: bytes) -> None:
    assert from_environment({b"NOTIFY_SOCKET": where}) is None


def test_a_supervisor_that_is_not_there_yet_is_waited_for(folder: Path) -> None:
    notifier = from_environment({b"NOTIFY_SOCKET": bytes(folder / "notify")})
    assert notifier is not None
    assert notifier.stale()
    with pytest.raises(OSError, match="not connected"):
        notifier.tell(b"READY=1")


def _tell_for_ever(notifier: Notifier) -> None:
    while True:
        notifier.tell(b"x" * 1000)
