"""A machine with systemd, in an emulator: what the unit promises, mail in and out, and what becomes of it all.

Each command takes a second or so where the processor is emulated, so each does as much as it can.
"""

from __future__ import annotations

import errno
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.debian import ROOT, packages
from tests.deb.mailing import FETCH, INSTALL, SEND
from tests.deb.virtual import VirtualMachine
from tests.docs.blocks import blocks

pytestmark = [pytest.mark.deb, pytest.mark.root, pytest.mark.slow]

# The newer packages are for later.
PREPARE = "mkdir /newer && mv /packages/*+1_*.deb /newer\n" + INSTALL
TREE = "/var/lib/svtree/service"
BIN = "/usr/libexec/svtree/bin"
# What services listen on, each its own socket.
KEPT = ("smtpd", "pop3d", "qmail-queued", "syslog-receiver")
REFUSALS = {errno.EPERM, errno.EACCES, errno.EROFS}

# What a program may do, by number of the error: 0 if it may. Run in a service, and outside for comparison.
PROBE = """
import ctypes, json, os, pwd, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

def group():
    os.mkdir('/sys/fs/cgroup/probe')
    os.rmdir('/sys/fs/cgroup/probe')

def become(name):
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)

def in_a_child(*steps):
    pid = os.fork()
    if not pid:
        try:
            for step in steps:
                step()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, 'in a child')

tries = {
    'hostname': lambda: socket.sethostname(socket.gethostname()),
    'clock': lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    'namespace': lambda: in_a_child(lambda: call('unshare', 0x40000000)),
    'realtime': lambda: in_a_child(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
    'personality': lambda: in_a_child(lambda: call('personality', 8)),
    'tunable': lambda: open('/proc/sys/kernel/printk', 'r+').close(),
    'kernel log': lambda: open('/dev/kmsg').close(),
    'control group': group,
    'reboot': lambda: call('reboot', 0),
    'another user': lambda: in_a_child(lambda: become('qmaild')),
    'a home': lambda: in_a_child(lambda: become('jiro'), lambda: open('/home/jiro/probe', 'w').close()),
    'a port': lambda: socket.create_server(('127.0.0.1', 26)).close(),
    'owner': lambda: os.chown('/home/jiro/probe', 0, 0),
    'remove': lambda: os.unlink('/home/jiro/probe'),
}
found = {}
for name, attempt in tries.items():
    try:
        attempt()
        found[name] = 0
    except OSError as error:
        found[name] = error.errno
with open(sys.argv[1] + '.new', 'w') as file:
    json.dump(found, file)
os.rename(sys.argv[1] + '.new', sys.argv[1])
"""
ALLOWED = {"another user", "a home", "a port", "owner", "remove"}

# One client after another until there is a file /tmp/enough: a byte in /tmp/served for each; how many were refused.
CLIENTS = """
import os, socket
refused = 0
with open('/tmp/served', 'ab', buffering=0) as served:
    while not os.path.exists('/tmp/enough'):
        try:
            with socket.create_connection(('127.0.0.1', 25), 300) as client:
                if client.recv(4) == b'220 ':
                    served.write(b'.')
        except ConnectionRefusedError:
            refused += 1
        except ConnectionError:
            # A session that was there when everything was taken down has ended with the rest.
            pass
print('refused', refused)
"""

# Numbers, each noted when it has been said.
COUNTER = """#!/usr/bin/python3
import itertools, sys, time
for number in itertools.count(1):
    print(number, flush=True)
    with open('/run/counted', 'w') as noted:
        noted.write(f'{number}\\n')
    time.sleep(0.01)
"""
# Stopped after svtree.service: by then its log must have every number, once and in order, and nobody may be left.
WITNESS = """
import glob, os
noted = int(open('/run/counted').read())
lines = []
for name in sorted(glob.glob('/var/log/counter/@*')) + ['/var/log/counter/current']:
    lines += open(name).read().split()
left = [open(name, 'rb').read() for name in glob.glob('/proc/[0-9]*/cmdline')]
left = [each for each in left if b'/svtree/' in each]
whole = lines == [str(number + 1) for number in range(len(lines))] and len(lines) >= noted > 0
said = 'every line' if whole else f'{noted} noted, {len(lines)} in the log, lost or twice: {lines[-3:]}'
print('witness:', said, left, flush=True)
"""
WITNESS_UNIT = """
[Unit]
Before=svtree.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'python3 /witness.py >/dev/ttyS0 2>&1'
"""


@pytest.fixture(scope="module")
def machine(place: Path) -> Iterator[VirtualMachine]:
    both = place / "both"
    both.mkdir()
    for folder in (packages(), packages("+1")):
        for path in folder.glob("*.deb"):
            shutil.copy(path, both)
    made = VirtualMachine(place, PREPARE, bring=both)
    try:
        made.until_fine()
        yield made
    finally:
        made.end()


def shown(machine: VirtualMachine, *properties: str) -> dict[str, str]:
    """Properties of the unit."""
    lines = machine.say(f"systemctl show svtree {' '.join(f'-p {each}' for each in properties)}").splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def main_process(machine: VirtualMachine) -> str:
    return shown(machine, "MainPID")["MainPID"]


def until_another(machine: VirtualMachine, before: str) -> None:
    """Wait until another supervisor is ready, and all as wanted."""
    machine.until(
        f"test $(systemctl show svtree -p MainPID --value) != {before} && systemctl -q is-active svtree",
        "another supervisor",
    )
    machine.until_fine()


def until_kept(machine: VirtualMachine, count: int) -> None:
    """Wait until systemd keeps so many sockets."""
    machine.until(
        f"test $(systemctl show svtree -p NFileDescriptorStore --value) = {count}", f"{count} sockets are kept"
    )


def put(machine: VirtualMachine, path: str, text: str, mode: str = "644") -> None:
    machine.say(f"printf %s {shlex.quote(text)} >{path} && chmod {mode} {path}")


def test_the_unit_is_active_when_the_supervisor_has_said_that_all_is_started(machine: VirtualMachine) -> None:
    assert machine.say("cat /proc/1/comm") == "systemd\n"
    unit = shown(machine, "Type", "ActiveState", "SubState", "MainPID", "ActiveEnterTimestampMonotonic")
    assert (unit["Type"], unit["ActiveState"], unit["SubState"]) == ("notify", "active", "running")
    # In hundredths of a second since the machine was started: every service first, and only then the unit.
    begun = [
        int(stat.rpartition(") ")[2].split()[19])
        for stat in machine.say(
            f"cd /proc; for pid in {' '.join(machine.services())}; do cat $pid/stat; done"
        ).splitlines()
    ]
    assert len(begun) >= 6
    assert max(begun) <= int(unit["ActiveEnterTimestampMonotonic"]) // 10000
    told = machine.say("systemctl status --no-pager -n 0 svtree")
    assert "Active: active (running)" in told
    assert f"Main PID: {unit['MainPID']} (svtree)" in told


def test_what_is_forbidden_to_services_is_refused_and_what_they_need_is_not(machine: VirtualMachine) -> None:
    # For who reads what the tests say: where the unit stands.
    sys.stdout.write(machine.say("systemd-analyze --no-pager security svtree.service"))
    put(machine, "/probe.py", PROBE)
    service = f"{TREE}/probe"
    script = f"#!/bin/sh\nexec python3 /probe.py {service}/found\n"
    machine.say(f"python3 /probe.py /run/outside; mkdir /tmp/probe; touch /tmp/probe/down; mv /tmp/probe {service}")
    put(machine, f"{service}/run", script, "755")
    machine.until(f"{BIN}/svok {service}", "a service that probes")
    machine.say(f"{BIN}/svc -o {service}")
    machine.until(f"test -e {service}/found", "what it has found")
    outside, inside = (json.loads(machine.say(f"cat {name}")) for name in ("/run/outside", f"{service}/found"))
    assert {name for name, number in outside.items() if number in REFUSALS} == set()
    assert {name for name, number in inside.items() if number == 0} == ALLOWED
    assert {name for name, number in inside.items() if number in REFUSALS} == set(inside) - ALLOWED
    machine.say(f"cd {service} && rm -r {service} && {BIN}/svc -dx .")


def test_mail_goes_in_and_out(machine: VirtualMachine) -> None:
    machine.python(SEND, "hello")
    machine.until("ls /home/jiro/Maildir/new/*", "the message")
    assert "Subject: hello" in machine.python(FETCH)
    assert set(machine.say("stat -c %U /home/jiro/Maildir/*/*.*").split()) == {"jiro"}


def test_reload_changes_nobody(machine: VirtualMachine) -> None:
    before = [main_process(machine), *machine.services()]
    machine.say("systemctl reload svtree && systemctl is-active svtree && service svtree reload")
    assert [main_process(machine), *machine.services()] == before


def test_the_guide_shows_what_is_seen(machine: VirtualMachine) -> None:
    (block,) = (each for each in blocks(ROOT / "docs" / "howto" / "debian.rst") if "systemctl" in each.body)
    for command in block.commands():
        said = machine.say(command.text)
        wanted = [re.escape(line.strip()).replace(r"\.\.\.", ".*") for line in command.printed]
        assert re.search(".*".join(wanted), said, re.DOTALL), (command, said)
    machine.until_fine()


def test_a_service_that_is_down_has_no_socket_kept(machine: VirtualMachine) -> None:
    until_kept(machine, len(KEPT))
    machine.say(f"{BIN}/svc -d {TREE}/pop3d")
    until_kept(machine, len(KEPT) - 1)
    machine.say(f"{BIN}/svc -u {TREE}/pop3d")
    until_kept(machine, len(KEPT))


def test_a_restart_refuses_nobody(machine: VirtualMachine) -> None:
    before = main_process(machine)
    machine.say(f"rm -f /tmp/enough; python3 -c {shlex.quote(CLIENTS)} >/tmp/clients 2>&1 &")
    machine.until("test -s /tmp/served", "a client that is served")
    machine.say("systemctl restart svtree")
    until_another(machine, before)
    # Those that are served from here on have been under both.
    count = machine.say("stat -c %s /tmp/served")
    machine.until(f"test $(stat -c %s /tmp/served) -gt {count.strip()}", "a client that is served anew")
    machine.say("touch /tmp/enough")
    machine.until("test -s /tmp/clients", "the clients' end")
    assert machine.say("cat /tmp/clients") == "refused 0\n"
    machine.until_fine()


def test_stop_ends_everything_and_start_begins_it(machine: VirtualMachine) -> None:
    machine.say("systemctl stop svtree")
    assert machine.say("grep -l /usr/libexec/svtree /proc/[0-9]*/cmdline; :") == ""
    # 0019 and 006E are 25 and 110; 0A is a socket that listens.
    assert machine.run("grep -q -E ':(0019|006E) [0-9A-F]*:0000 0A' /proc/net/tcp").code == 1
    assert shown(machine, "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    machine.say("systemctl start svtree")
    machine.until_fine()


def test_a_killed_supervisor_is_followed_by_one_that_adopts(machine: VirtualMachine) -> None:
    before, services = main_process(machine), machine.services()
    until_kept(machine, len(KEPT))
    machine.say(f"kill -9 {before}")
    until_another(machine, before)
    until_kept(machine, len(KEPT))
    assert machine.services() == services
    for name in ("qmail-send", "qmail-queued", "syslog-receiver"):
        assert len(machine.say(f"grep -l {BIN}/{name} /proc/[0-9]*/cmdline").split()) == 1, name
    assert "svtree: smtpd: adopted" in machine.say("journalctl --no-pager -b -u svtree")
    machine.python(SEND, "adopted")


def test_a_supervisor_that_hangs_is_replaced(machine: VirtualMachine) -> None:
    machine.say("mkdir -p /run/systemd/system/svtree.service.d")
    put(machine, "/run/systemd/system/svtree.service.d/test.conf", "[Service]\nWatchdogSec=15\n")
    # It goes on saying that it lives, every five seconds; until it does not.
    machine.say("systemctl daemon-reload")
    before, services = main_process(machine), machine.services()
    machine.say(f"kill -STOP {before}; :")
    until_another(machine, before)
    machine.say("rm -r /run/systemd/system/svtree.service.d; systemctl daemon-reload")
    assert machine.services() == services
    assert "Watchdog timeout" in machine.say("journalctl --no-pager -b -u svtree")


def test_an_upgrade_stops_nothing(machine: VirtualMachine) -> None:
    before = [main_process(machine), *machine.services()]
    machine.say("DEBIAN_FRONTEND=noninteractive dpkg -i /newer/*.deb")
    assert "+1" in machine.say("dpkg-query -W -f '${Version}' svtree")
    assert [main_process(machine), *machine.services()] == before
    machine.python(SEND, "upgraded")


def test_purge_leaves_nothing_and_installing_brings_it_up(machine: VirtualMachine) -> None:
    machine.say("dpkg -P svtree-mail svtree-commands svtree")
    assert machine.say("grep -l /usr/libexec/svtree /proc/[0-9]*/cmdline; :") == ""
    ours = r"\( -name '*svtree*' -o -name 'qmail*' \) -print"
    found = f"find / -xdev -path /newer -prune -o {ours}"
    assert machine.say(f"{found}; grep -E 'qmail|svtree' /etc/passwd /etc/group; :") == ""
    assert machine.run("systemctl cat svtree").code != 0
    machine.say("DEBIAN_FRONTEND=noninteractive dpkg -i /newer/*.deb && systemctl is-enabled svtree")
    machine.until_fine()


def test_shutdown_loses_no_line_and_leaves_nobody(machine: VirtualMachine) -> None:
    put(machine, "/witness.py", WITNESS)
    put(machine, "/run/systemd/system/witness.service", WITNESS_UNIT)
    machine.say("systemctl daemon-reload && systemctl start witness && mkdir -p /tmp/counter/log /var/log/counter")
    put(machine, "/tmp/counter/run", COUNTER, "755")
    log = f"#!/bin/sh\nexec {BIN}/multilog s16384 n100 /var/log/counter\n"
    put(machine, "/tmp/counter/log/run", log, "755")
    machine.say(f"mv /tmp/counter {TREE}/counter")
    machine.until("test -s /var/log/counter/current", "lines in the log")
    machine.ask("systemctl poweroff")
    machine.wait()
    assert "witness: every line []" in machine.log()
