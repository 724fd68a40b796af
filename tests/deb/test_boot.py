"""A machine whose sysvinit brings up the tree: mail in and out, an upgrade under load, and shutdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.debian import BOOTING, Machine, packages
from tests.harness import until

pytestmark = [pytest.mark.deb, pytest.mark.root, pytest.mark.slow]

INSTALL = """
set -e
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
echo 'svtree svtree/host string mail.example.com' | debconf-set-selections
mkdir -p /var/log/svtree
mount --bind /kept /var/log/svtree
dpkg -i /packages/*.deb
rm /usr/sbin/policy-rc.d
adduser --disabled-password --gecos '' jiro >/dev/null
echo jiro:sesame | chpasswd
su jiro -c '/usr/bin/maildirmake /home/jiro/Maildir'
"""

SEND = """
import smtplib, sys
with smtplib.SMTP('127.0.0.1', 25, 'client', 30) as client:
    text = 'Subject: ' + sys.argv[1] + '\\r\\n\\r\\nx\\r\\n'
    client.sendmail('saburo@elsewhere.example', 'jiro@mail.example.com', text)
"""
FETCH = """
import poplib
client = poplib.POP3('127.0.0.1', 110, timeout=30)
client.user('jiro'); client.pass_('sesame')
for number in range(client.stat()[0]):
    print(b'\\n'.join(client.retr(number + 1)[1]).decode())
client.quit()
"""
# One session that stays open for all of it, and new ones without pause; ends at a line on the FIFO, says what failed.
LOAD = """
import os, smtplib
kept = smtplib.SMTP('127.0.0.1', 25, 'kept', 30)
kept.helo()
print('loading', flush=True)
count = failed = 0
while not os.path.exists('/tmp/enough'):
    try:
        with smtplib.SMTP('127.0.0.1', 25, 'new', 30) as client:
            client.helo()
        count += 1
    except (OSError, smtplib.SMTPException) as error:
        failed += 1
        print(error, flush=True)
print('kept', kept.noop()[0], 'count', count > 0, 'failed', failed, flush=True)
kept.quit()
"""


@pytest.fixture(scope="module")
def machine(place: Path) -> Iterator[Machine]:
    built = packages()
    made = Machine(place, INSTALL, ("/sbin/init",), bring=built)
    try:
        until(lambda: made.run("runlevel").out == b"N 2\n", BOOTING, "runlevel 2")
        until(made.fine, BOOTING, "all as wanted")
        yield made
    finally:
        made.end()


def python(machine: Machine, code: str, *words: str) -> str:
    quoted = code.replace("'", "'\\''")
    return machine.say(f"python3 -c '{quoted}' {' '.join(words)}")


def supervised(machine: Machine) -> list[str]:
    """The pids of the supervisor and of every service and logger."""
    table = machine.say("svstat /var/lib/svtree/service/* /var/lib/svtree/service/*/log")
    return [machine.say("cat /run/svtree.pid").strip(), *re.findall(r"pid (\d+)", table)]


def test_sysvinit_is_pid_1_and_the_tree_is_its_service(machine: Machine) -> None:
    assert machine.say("cat /proc/1/comm") == "init\n"
    assert "svtree is running" in machine.say("service svtree status")


def test_mail_goes_in_and_out(machine: Machine) -> None:
    python(machine, SEND, "hello")
    until(lambda: "Subject: hello" in python(machine, FETCH), what="the message")
    assert "Delivered-To: jiro@mail.example.com" in python(machine, FETCH)
    assert machine.say("stat -c %U /home/jiro/Maildir/*/*.*") == "jiro\n"


def test_a_killed_supervisor_is_followed_by_one_that_adopts(machine: Machine) -> None:
    before = supervised(machine)
    machine.say("kill -9 $(cat /run/svtree.pid)")
    until(lambda: machine.run("service svtree status").code != 0, what="the end of the supervisor")
    machine.say("service svtree start")
    until(machine.fine, what="all as wanted")
    assert supervised(machine)[1:] == before[1:]


def test_an_upgrade_stops_nothing(machine: Machine) -> None:
    newer = packages("+1")
    before = supervised(machine)
    quoted = LOAD.replace("'", "'\\''")
    load = machine.start(f"exec python3 -c '{quoted}'")
    try:
        assert load.stdout is not None
        assert load.stdout.readline() == b"loading\n"
        machine.copy(newer)
        machine.say("dpkg -i /packages/*.deb", seconds=120)
        assert "+1" in machine.say("dpkg-query -W -f '${Version}' svtree")
        assert supervised(machine) == before
        machine.say("touch /tmp/enough")
        assert load.communicate(timeout=60)[0] == b"kept 250 count True failed 0\n"
    finally:
        load.kill()
        load.wait()
    python(machine, SEND, "upgraded")
    until(lambda: "Subject: upgraded" in python(machine, FETCH), what="the message after the upgrade")


def test_shutdown_takes_the_tree_down(machine: Machine) -> None:
    # Asked from outside: init answers for itself, and ends whoever asks.
    machine.run("init 0")
    machine.wait()
    log = (machine.kept / "supervisor.log").read_text()
    assert log.splitlines()[-1] == "svtree: down"
