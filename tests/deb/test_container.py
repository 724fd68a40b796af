"""packaging/Containerfile without an engine: its steps in a machine of namespaces, its entry point as PID 1."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.debian import BOOTING, PATIENCE, ROOT, Machine, packages
from tests.harness import until

pytestmark = [pytest.mark.deb, pytest.mark.root, pytest.mark.slow]

Steps = dict[str, list[str]]
SEND = """
import smtplib
with smtplib.SMTP('127.0.0.1', 2525, 'client', 30) as client:
    client.sendmail('saburo@elsewhere.example', 'jiro@mail.example.com', 'Subject: contained\\r\\n\\r\\nx\\r\\n')
"""


def steps() -> Steps:
    """Instruction -> its arguments, each time it is given."""
    found: Steps = {}
    for line in (ROOT / "packaging" / "Containerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            found.setdefault(word, []).append(rest)
    return found


def preparation(given: Steps) -> str:
    """COPY and RUN as a shell script. What is not on this network, the archive of Debian, is installed already."""
    lines = ["set -e", "cp /packages/svtree_*.deb /root/"]
    lines += [each.replace("apt-get update", "true") for each in given["RUN"]]
    script = shlex.quote((ROOT / "packaging" / "container-start").read_text())
    lines.append(f"printf %s {script} >/usr/local/bin/container-start && chmod 755 /usr/local/bin/container-start")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def machine(place: Path) -> Iterator[Machine]:
    given = steps()
    user, group = given["USER"][0].split(":")
    (volume,) = given["VOLUME"]
    start = (
        f"mount -t tmpfs -o mode=700,uid={user},gid={group} volume {volume} && mount -o remount,ro / && "
        f"exec env -i {given['ENV'][0]} SVTREE_HOST=mail.example.com SVTREE_USERS=jiro:sesame "
        f"setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs --bounding-set=-all "
        f"{shlex.join(json.loads(given['ENTRYPOINT'][0]))}"
    )
    made = Machine(place, preparation(given), ("/bin/sh", "-c", start), bring=packages())
    try:
        until(lambda: healthy(made), BOOTING, "a healthy container")
        yield made
    finally:
        made.end()


def healthy(machine: Machine) -> bool:
    command = steps()["HEALTHCHECK"][0].partition("CMD ")[2]
    return as_user(machine, shlex.join(json.loads(command))) == 0


def as_user(machine: Machine, command: str) -> int:
    given = steps()
    user, group = given["USER"][0].split(":")
    return machine.run(
        f"exec env -i {given['ENV'][0]} setpriv --reuid={user} --regid={group} --clear-groups {command}"
    ).code


def test_the_tree_is_pid_1_and_nobody_is_root(machine: Machine) -> None:
    assert machine.say("cat /proc/1/comm") == "svtree\n"
    # The shell that asks is the machine's only process of root's.
    owners = machine.say("stat -c '%n %u' /proc/[0-9]*; echo $$").split("\n")
    asking = f"/proc/{owners[-2]} 0"
    assert {line.split()[1] for line in owners[:-2] if line != asking and not gone(machine, line)} == {"10025"}


def gone(machine: Machine, line: str) -> bool:
    """Whether a process, of the shell's asking, is no more."""
    return machine.run(f"test -e {line.split(maxsplit=1)[0]}").code != 0


def test_the_root_file_system_is_not_written(machine: Machine) -> None:
    assert machine.run("touch /etc/x").code != 0
    assert "Read-only" in machine.run("touch /etc/x").out.decode()


def test_mail_goes_in_and_out(machine: Machine) -> None:
    # A service is up before it listens.
    until(lambda: machine.run(f"python3 -c {shlex.quote(SEND)}").code == 0, PATIENCE, "mail that is taken")
    until(
        lambda: b"Subject: contained" in machine.run("cat /srv/tree/mail/qmail/home/jiro/Maildir/new/*").out, PATIENCE
    )


def test_term_ends_the_container_in_order(machine: Machine) -> None:
    machine.run("kill -TERM 1")
    machine.wait()
    assert machine.log().rstrip().endswith("svtree: down")
