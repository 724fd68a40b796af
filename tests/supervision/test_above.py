"""A supervisor and the one above it, systemd say: what it is told by sd_notify(3), and what it keeps."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.supervision.above import quote
from svtree.supervision.store import valid_name
from tests.harness import DEADLINE, Processes, free_port, ours, until
from tests.supervision.driver import Tree, until_dead
from tests.supervision.systemd import Systemd
from tests.supervision.test_readiness import LISTENER, NOTIFIER

READY, STOPPING = b"READY=1", b"STOPPING=1"
STORED = b"FDSTORE=1\nFDNAME=a/listen"
REMOVED = b"FDSTOREREMOVE=1\nFDNAME=a/listen"


@pytest.fixture
def systemd(folder: Path) -> Iterator[Systemd]:
    made = Systemd(folder)
    yield made
    made.close()


def svscan(systemd: Systemd, tree: Tree, **env: str) -> None:
    systemd.start(ours("svscan"), tree.root, env=env)


def listening(systemd: Systemd, tree: Tree) -> int:
    """The port of the service a, which listens, once its socket is kept above."""
    systemd.until_said(STORED)
    tree.reports("a", ready=True)
    return port(tree)


def port(tree: Tree) -> int:
    return int((tree.root / "a" / "port").read_text())


def answer(connection: socket.socket) -> int:
    """The pid of who serves it."""
    with connection, connection.makefile() as stream:
        return int(stream.readline())


def connect(to: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", to), DEADLINE)


def test_it_is_told_of_readiness_life_and_leaving(systemd: Systemd, tree: Tree) -> None:
    svscan(systemd, tree, WATCHDOG_USEC="60000000")
    assert systemd.listen() == READY
    assert systemd.listen() == b"WATCHDOG=1"
    os.kill(systemd.pid, signal.SIGTERM)
    assert set(systemd.until_said(STOPPING)) <= {b"WATCHDOG=1"}
    assert systemd.wait() == 0


def test_a_short_watchdog_is_told_more_often(systemd: Systemd, tree: Tree) -> None:
    svscan(systemd, tree, WATCHDOG_USEC="200000")
    assert systemd.listen() == READY
    assert [systemd.listen() for _ in range(5)] == [b"WATCHDOG=1"] * 5


@pytest.mark.parametrize("env", [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}])
def test_a_watchdog_that_does_not_ask_for_us_is_told_nothing(systemd: Systemd, tree: Tree, env: dict[str, str]) -> None:
    tree.service("a")
    svscan(systemd, tree, **env)
    tree.up("a")
    os.kill(systemd.pid, signal.SIGTERM)
    assert systemd.until_said(STOPPING) == [READY]
    assert systemd.wait() == 0


def test_nobody_above_who_listens_is_no_reason_to_stop(folder: Path, processes: Processes) -> None:
    (folder / "service").mkdir()
    svscan = processes.start([ours("svscan"), folder / "service"], env={"NOTIFY_SOCKET": str(folder / "nobody")})
    svscan.send_signal(signal.SIGTERM)
    assert svscan.wait(DEADLINE) in (0, -signal.SIGTERM), "TERM may come before the supervisor has taken it"


def test_a_socket_outlives_a_restart_of_the_whole_tree_and_nobody_is_refused(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    where = listening(systemd, tree)
    for _ in range(3):
        before = tree.up("a")
        os.kill(systemd.pid, signal.SIGTERM)
        assert systemd.until_said(STOPPING) == []
        assert systemd.wait() == 0
        until_dead(before)
        # Nothing of the tree runs, and a client is not refused.
        client = connect(where)
        svscan(systemd, tree)
        assert answer(client) == tree.up("a", other_than=before)
        # Told that it is kept, it is not sent again, and nothing is taken away.
        assert systemd.names() == [b"a/listen"]
        assert systemd.until_said(READY) == []


def test_a_killed_supervisor_has_what_it_kept_again_at_once(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    where = listening(systemd, tree)
    first = tree.up("a")
    assert systemd.stop(signal.SIGKILL) == -signal.SIGKILL
    svscan(systemd, tree)
    systemd.until_said(READY)
    assert answer(connect(where)) == first, "adopted"
    # This listener, unlike tcpserver, tells no second supervisor what it told the first.
    os.kill(first, signal.SIGKILL)
    until_dead(first)
    assert answer(connect(where)) == tree.up("a", other_than=first)


def test_both_killed_the_socket_is_there_yet(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    where = listening(systemd, tree)
    first = tree.up("a")
    systemd.stop(signal.SIGKILL)
    os.kill(first, signal.SIGKILL)
    until_dead(first)
    client = connect(where)
    svscan(systemd, tree)
    assert answer(client) == tree.up("a", other_than=first)


def test_a_restart_of_a_tree_under_load_refuses_nobody(systemd: Systemd, tree: Tree) -> None:
    where = free_port()
    tree.service("a", f"#!/bin/sh\nexec {ours('tcpserver')} -HRl0 -b100 127.0.0.1 {where} echo here 2>&1\n")
    svscan(systemd, tree)
    systemd.until_said(STORED)
    served = Clients(where)
    try:
        for _ in range(3):
            before = served.count
            systemd.stop()
            svscan(systemd, tree)
            until(lambda before=before: served.count > before + 3)  # type: ignore[misc]
    finally:
        refused = served.end()
    assert refused == []


class Clients(threading.Thread):
    """One after another, without pause; counts those who were served, and keeps what was said to those refused."""

    def __init__(self, where: int) -> None:
        super().__init__()
        self.count = 0
        self._where = where
        self._refused: list[ConnectionRefusedError] = []
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with connect(self._where) as client:
                    self.count += client.recv(100) == b"here\n"
            except ConnectionRefusedError as error:
                self._refused.append(error)
            except ConnectionError:
                # A session that was there when everything was taken down is ended with the rest.
                continue

    def end(self) -> list[ConnectionRefusedError]:
        self._over.set()
        self.join()
        return self._refused


def test_what_is_taken_down_by_itself_is_kept_no_longer(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    where = listening(systemd, tree)
    tree.svc("d", "a")
    systemd.until_said(REMOVED)
    tree.down("a")
    with pytest.raises(ConnectionRefusedError):
        connect(where)
    tree.svc("u", "a")
    systemd.until_said(STORED)


def test_what_leaves_by_itself_is_kept_no_longer(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    listening(systemd, tree)
    tree.svc("x", "a")
    tree.svc("t", "a")
    systemd.until_said(REMOVED)
    # It is still in the directory, so it comes back, and listens anew.
    systemd.until_said(STORED)


def test_a_socket_for_a_service_that_is_gone_or_down_is_kept_no_longer(systemd: Systemd, tree: Tree) -> None:
    for name in ("a", "b", "c"):
        tree.service(name, LISTENER)
    svscan(systemd, tree)
    until(lambda: systemd.listen() and len(systemd.kept) == 3)
    systemd.stop()
    shutil.rmtree(tree.root / "a")
    (tree.root / "b" / "down").touch()
    svscan(systemd, tree)
    said = systemd.until_said(READY)
    assert sorted(each for each in said if each != STOPPING) == [REMOVED, REMOVED.replace(b"a/", b"b/")]
    assert systemd.names() == [b"c/listen"]


def test_one_that_takes_the_others_place_is_told_everything(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    where = listening(systemd, tree)
    systemd.be_replaced()
    assert systemd.until_said(STORED) == [READY]
    first = tree.up("a")
    systemd.stop()
    client = connect(where)
    svscan(systemd, tree)
    assert answer(client) == tree.up("a", other_than=first)


def test_one_that_comes_late_is_told_everything(systemd: Systemd, tree: Tree) -> None:
    systemd.socket.close()
    tree.service("a", LISTENER)
    svscan(systemd, tree)
    tree.reports("a", ready=True)
    systemd.be_replaced()
    assert systemd.until_said(STORED) == [READY]


def test_one_that_is_slow_to_read_loses_nothing(systemd: Systemd, tree: Tree, folder: Path) -> None:
    tree.service("a", LISTENER)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as noise:
        noise.connect(str(folder / "above"))
        noise.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                noise.send(b"X_NOISE=1")
    svscan(systemd, tree)
    tree.reports("a", ready=True)
    assert set(systemd.until_said(READY)) == {b"X_NOISE=1"}
    systemd.until_said(STORED)


def test_whatever_a_service_is_called_it_has_its_own_again(systemd: Systemd, tree: Tree) -> None:
    names = ["mail:server 2", "50%", "f\u00fcnf"]
    for name in names:
        tree.service(name, LISTENER)
    svscan(systemd, tree)
    until(lambda: systemd.listen() and len(systemd.kept) == 3)
    assert systemd.names() == [b"50%25/listen", b"f%C3%BCnf/listen", b"mail%3Aserver%202/listen"]
    ports = {name: (tree.root / name / "port").read_text() for name in names if tree.reports(name, ready=True)}
    systemd.stop()
    for name in names:
        (tree.root / name / "port").unlink()
    svscan(systemd, tree)
    for name in names:
        until((tree.root / name / "port").exists)
        assert (tree.root / name / "port").read_text() == ports[name]


KEEPER = (
    NOTIFIER
    + """
if "LISTEN_FDS" in os.environ:
    assert os.environ["LISTEN_FDNAMES"] == "state"
    text = os.pread(3, 100, 0)
else:
    socket.send_fds(told, [b"FDSTORE=1\\nFDNAME=state"], [os.memfd_create("state")])
    sys.exit(0)
os.pwrite(3, b"%d" % (int(text or b"0") + 1), 0)
print(text.decode(), file=open("found", "w"), flush=True)
told.send(b"READY=1")
signal.pause()
"""
)


def test_it_need_not_be_a_socket(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", KEEPER)
    svscan(systemd, tree)
    systemd.until_said(b"FDSTORE=1\nFDNAME=a/state")
    tree.reports("a", ready=True)
    systemd.stop()
    svscan(systemd, tree)
    until(lambda: (tree.root / "a" / "found").read_text() == "1\n")


def test_supervise_alone_hands_up_and_takes_back_too(systemd: Systemd, tree: Tree) -> None:
    tree.service("a", LISTENER)
    systemd.start("/usr/bin/env", "-C", tree.root, ours("supervise"), "a")
    where = listening(systemd, tree)
    systemd.stop()
    client = connect(where)
    systemd.start("/usr/bin/env", "-C", tree.root, ours("supervise"), "a")
    assert answer(client) == tree.up("a")


@given(st.binary(min_size=1, max_size=60).filter(lambda name: b"/" not in name))
def test_a_quoted_name_is_one_that_sd_notify_takes(name: bytes) -> None:
    assert valid_name(quote(name)) == quote(name)
    assert b"/" not in quote(name)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_two_names_are_never_quoted_alike(one: bytes, other: bytes) -> None:
    assert (quote(one) == quote(other)) == (one == other)
