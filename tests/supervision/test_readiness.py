"""What a service may tell its supervisor: sd_notify, stored descriptors, notification-fd, check, the watchdog."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.harness import DEADLINE, Processes, ours, until
from tests.supervision.driver import READER, Tree, alive, until_dead, until_says

PYTHON = f"#!{ours('python3')}\n"
NOTIFIER = (
    PYTHON
    + """
import array, os, signal, socket, sys, time
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.connect(os.environ["NOTIFY_SOCKET"])
"""
)
LISTENER = (
    NOTIFIER
    + """
count = int(os.environ.get("LISTEN_FDS", "0"))
if count:
    assert int(os.environ["LISTEN_PID"]) == os.getpid()
    assert os.environ["LISTEN_FDNAMES"] == "listen"
    listener = socket.socket(fileno=3)
else:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    socket.send_fds(told, [b"FDSTORE=1\\nFDNAME=listen"], [listener.fileno()])
print(listener.getsockname()[1], file=open("port.new", "w"), flush=True)
os.rename("port.new", "port")
told.send(b"READY=1\\nSTATUS=listening for the %d. time" % (count + 1))
while True:
    try:
        connection, _ = listener.accept()
        connection.sendall(b"%d\\n" % os.getpid())
        connection.close()
    except OSError:
        time.sleep(0.01)
"""
)


def ask(port: int) -> int:
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        return int(connection.makefile().readline())


def test_ready_and_status_are_shown(tree: Tree) -> None:
    tree.service("a", NOTIFIER + 'told.send("READY=1\\nSTATUS=fünf\\x07 Wege".encode())\nsignal.pause()\n')
    tree.service("b")
    tree.scan()
    assert tree.reports("a", ready=True).status == "fünf? Wege"
    # One that never speaks of readiness is neither ready nor not.
    tree.up("b")
    assert tree.report("b").ready is None


def test_readiness_ends_with_the_process(tree: Tree) -> None:
    script = NOTIFIER + 'if not os.path.exists("second"): told.send(b"READY=1")\nsignal.pause()\n'
    service = tree.service("a", script)
    tree.scan()
    tree.reports("a", ready=True)
    pid = tree.up("a")
    (service / "second").touch()
    tree.svc("t", "a")
    tree.up("a", other_than=pid)
    tree.reports("a", ready=None, status="", restarts=1)


def test_a_stored_socket_comes_back_at_the_next_start_and_refuses_nobody(tree: Tree) -> None:
    service = tree.service("a", LISTENER)
    tree.scan()
    tree.reports("a", ready=True)
    port = int((service / "port").read_text())
    first = ask(port)
    (service / "port").unlink()
    os.kill(first, signal.SIGKILL)
    until_dead(first)
    # Nobody accepts at this moment, yet nobody is refused: the connection waits for the next process.
    second = ask(port)
    assert second != first
    until((service / "port").exists)
    assert int((service / "port").read_text()) == port
    tree.reports("a", ready=True, status="listening for the 2. time")


def test_a_service_that_is_taken_down_listens_no_more(tree: Tree) -> None:
    service = tree.service("a", LISTENER)
    tree.scan()
    tree.reports("a", ready=True)
    port = int((service / "port").read_text())
    tree.svc("d", "a")
    tree.down("a")
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_a_removed_descriptor_is_given_back_no_more(tree: Tree) -> None:
    script = LISTENER.replace(
        "told.send(b", 'told.send(b"FDSTOREREMOVE=1\\nFDNAME=listen")\ntold.send(b"FDSTOREREMOVE=1")\ntold.send(b', 1
    )
    tree.service("a", script)
    tree.scan()
    first = tree.reports("a", ready=True)
    assert first.status == "listening for the 1. time"
    pid = tree.up("a")
    tree.svc("t", "a")
    tree.up("a", other_than=pid)
    tree.reports("a", ready=True, restarts=1, status="listening for the 1. time")


@pytest.mark.root
def test_only_root_and_the_services_own_user_are_believed(tree: Tree, processes: Processes) -> None:
    tree.root.parent.chmod(0o755)
    service = tree.service("a")
    tree.scan()
    tree.up("a")
    where = str(service / "supervise" / "notify")
    say = (
        "import os, socket, sys\n"
        "os.setuid(int(sys.argv[1]))\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "s.connect(sys.argv[2])\n"
        "s.send(sys.argv[3].encode())\n"
    )
    stranger = processes.start([ours("python3"), "-c", say, "65534", where, "STATUS=believe me"])
    assert stranger.wait(DEADLINE) == 0
    root = processes.start([ours("python3"), "-c", say, "0", where, "READY=1"])
    assert root.wait(DEADLINE) == 0
    assert tree.reports("a", ready=True).status == ""


@pytest.mark.root
def test_a_service_that_gave_up_root_is_believed(tree: Tree) -> None:
    tree.service("a", NOTIFIER + 'os.setuid(65534)\ntold.send(b"READY=1")\nsignal.pause()\n')
    tree.scan()
    tree.reports("a", ready=True)


def test_messages_too_long_and_descriptors_too_many_change_nothing(tree: Tree) -> None:
    script = (
        NOTIFIER
        + """
told.send(b"STATUS=" + b"x" * 100000)
for at in range(40):
    near, far = os.pipe()
    socket.send_fds(told, [b"FDSTORE=1\\nFDNAME=pipe%d" % at], [near])
    os.close(near), os.close(far)
socket.send_fds(told, [b"no command"], [0, 1, 2])
print(os.environ.get("LISTEN_FDS"), file=open("seen", "a"), flush=True)
told.send(b"READY=1\\nSTATUS=" + b"y" * 4000)
signal.pause()
"""
    )
    service = tree.service("a", script)
    tree.scan()
    assert tree.reports("a", ready=True).status == "y" * 512
    tree.svc("t", "a")
    until_says(service / "seen", "None\n32\n")


def test_the_notify_socket_works_below_a_path_too_long_for_it(tree: Tree) -> None:
    name = "n" * 120
    (tree.root.parent / name).mkdir()
    (tree.root / "a").symlink_to(tree.root.parent / name)
    script = NOTIFIER.replace(
        'told.connect(os.environ["NOTIFY_SOCKET"])', 'os.chdir("supervise")\ntold.connect("notify")\nos.chdir("..")'
    )
    run = tree.root / "a" / "run"
    run.write_text(script + 'told.send(b"READY=1")\nsignal.pause()\n')
    run.chmod(0o755)
    tree.scan()
    tree.reports("a", ready=True)


def test_a_newline_on_the_notification_descriptor_is_readiness(tree: Tree) -> None:
    script = "#!/bin/sh\nuntil [ -e go ]; do sleep 0.02; done\necho >&4\nexec 4>&-\nexec sleep 1000\n"
    service = tree.service("a", script, {"notification-fd": "4\n"})
    tree.scan()
    tree.up("a")
    tree.reports("a", ready=False)
    (service / "go").touch()
    tree.reports("a", ready=True)


def test_check_is_asked_until_it_says_yes(tree: Tree) -> None:
    check = "#!/bin/sh\necho asked >>asked\ntest -e good\n"
    service = tree.service("a", files={"check": check, "log/run": READER})
    tree.scan()
    until(lambda: len((service / "asked").read_text().split()) >= 2)
    tree.reports("a", ready=False)
    (service / "good").touch()
    tree.reports("a", ready=True)
    # And then no more; the service is as ready as it can be.
    asked = (service / "asked").read_text()
    pid = tree.up("a")
    tree.svc("d", "a")
    tree.down("a")
    assert (service / "asked").read_text() == asked
    assert pid


def test_a_check_that_hangs_is_ended_with_its_service(tree: Tree) -> None:
    service = tree.service("a", files={"check": "#!/bin/sh\necho $$ >pid\nexec sleep 1000\n"})
    tree.scan()
    until((service / "pid").exists)
    until((service / "pid").read_text)
    assert tree.stop() == 0
    assert not alive(int((service / "pid").read_text()))


def test_a_service_that_owes_a_watchdog_message_is_ended(tree: Tree) -> None:
    script = (
        NOTIFIER
        + """
assert os.environ["WATCHDOG_USEC"] == "1000000"
for _ in range(12):
    told.send(b"WATCHDOG=1")
    time.sleep(0.1)
print(os.getpid(), file=open("patted.new", "w"), flush=True)
os.rename("patted.new", "patted")
signal.pause()
"""
    )
    service = tree.service("a", script, {"timeout-watchdog": "1000\n"})
    tree.scan()
    # A process that was not scheduled for a second is ended too, rightly; the next one may have more luck.
    pid = int(until((service / "patted").read_text))
    tree.up("a", other_than=pid)
    tree.reports("a", exit={"signal": signal.SIGABRT})
