"""A machine whose sysvinit brings up the tree: mail in and out, an upgrade under load, and shutdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.debian import BOOTING, PATIENCE, Machine, packages
from tests.deb.mailing import FETCH, INSTALL, LOAD, SEND
from tests.harness import until

pytestmark = [pytest.mark.deb, pytest.mark.root, pytest.mark.slow]

# What the supervisor says is to outlive the machine.
PREPARE = "mkdir -p /var/log/svtree && mount --bind /kept /var/log/svtree && " + INSTALL


@pytest.fixture(scope="module")
def machine(place: Path) -> Iterator[Machine]:
    built = packages()
    made = Machine(place, PREPARE, ("/sbin/init",), bring=built)
    try:
        until(lambda: made.run("runlevel").out == b"N 2\n", BOOTING, "runlevel 2")
        until(made.fine, BOOTING, "all as wanted")
        yield made
    finally:
        made.end()


def supervised(machine: Machine) -> list[str]:
    """The pids of the supervisor and of every service and logger."""
    return [machine.say("cat /run/svtree.pid").strip(), *machine.services()]


def test_sysvinit_is_pid_1_and_the_tree_is_its_service(machine: Machine) -> None:
    assert machine.say("cat /proc/1/comm") == "init\n"
    assert "svtree is running" in machine.say("service svtree status")


def test_mail_goes_in_and_out(machine: Machine) -> None:
    machine.python(SEND, "hello")
    until(lambda: "Subject: hello" in machine.python(FETCH), PATIENCE, "the message")
    assert "Delivered-To: jiro@mail.example.com" in machine.python(FETCH)
    assert machine.say("stat -c %U /home/jiro/Maildir/*/*.*") == "jiro\n"


def test_a_killed_supervisor_is_followed_by_one_that_adopts(machine: Machine) -> None:
    before = supervised(machine)
    machine.say("kill -9 $(cat /run/svtree.pid)")
    until(lambda: machine.run("service svtree status").code != 0, PATIENCE, "the end of the supervisor")
    machine.say("service svtree start")
    until(machine.fine, PATIENCE, "all as wanted")
    assert supervised(machine)[1:] == before[1:]


def test_an_upgrade_stops_nothing(machine: Machine) -> None:
    newer = packages("+1")
    before = supervised(machine)
    load = machine.start(shlex.join(["exec", "python3", "-c", LOAD]))
    try:
        assert load.stdout is not None
        assert load.stdout.readline() == b"loading\n"
        machine.copy(newer)
        machine.say("dpkg -i /packages/*.deb")
        assert "+1" in machine.say("dpkg-query -W -f '${Version}' svtree")
        assert supervised(machine) == before
        machine.say("touch /tmp/enough")
        assert load.communicate(timeout=PATIENCE)[0] == b"kept 250 count True failed 0\n"
    finally:
        load.kill()
        load.wait()
    machine.python(SEND, "upgraded")
    until(lambda: "Subject: upgraded" in machine.python(FETCH), PATIENCE, "the message after the upgrade")


def test_shutdown_takes_the_tree_down(machine: Machine) -> None:
    # Asked from outside: init answers for itself, and ends whoever asks.
    machine.run("init 0")
    machine.wait()
    log = (machine.kept / "supervisor.log").read_text()
    assert log.splitlines()[-1] == "svtree: down"
