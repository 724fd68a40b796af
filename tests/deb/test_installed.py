"""The packages installed, configured, removed and purged on a machine without an init."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deb.debian import PATIENCE, Machine, packages
from tests.harness import until
from tests.mail import certificates

pytestmark = [pytest.mark.deb, pytest.mark.root, pytest.mark.slow]

# All that may differ after a purge: what dpkg, debconf and the password files' tools keep of their own work.
KEPT = (
    r"/var/(lib/dpkg|cache|lib/systemd|log/(dpkg|apt|alternatives))|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$"
)
FILES = r"find / -xdev \( -path /proc -o -path /packages -o -path /dev -o -path /run -o -path /tmp \) -prune -o -print"


def files(machine: Machine) -> set[str]:
    found = machine.say(FILES).splitlines()
    return {name for name in found if not re.match(KEPT, name) and "/__pycache__" not in name}


@pytest.fixture(scope="module")
def machine(place: Path) -> Iterator[Machine]:
    made = Machine(place)
    made.copy(packages())
    yield made
    made.end()


@pytest.fixture(scope="module")
def before(machine: Machine) -> set[str]:
    """The files of the machine before anything was installed, with its accounts."""
    return files(machine) | set(machine.say("cat /etc/passwd /etc/group").splitlines())


@pytest.fixture(scope="module")
def installed(machine: Machine, before: set[str]) -> Machine:
    """svtree alone, with its questions answered and a policy that forbids to start it."""
    machine.say(
        "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d\n"
        "debconf-set-selections <<EOF\n"
        "svtree svtree/host string mail.example.com\n"
        "svtree svtree/relayed string 192.168.1., 10.1.2.3\n"
        "svtree svtree/service-link boolean true\n"
        "EOF\n"
        "dpkg -i /packages/svtree_*.deb"
    )
    return machine


def service(machine: Machine, verb: str) -> tuple[int, str]:
    done = machine.run(f"service svtree {verb}")
    return done.code, done.out.decode()


def test_it_is_linked_into_the_runlevels(installed: Machine) -> None:
    links = set(installed.say("cd /etc; ls -d rc?.d/*svtree").split())
    assert {re.sub("[0-9]{2}", "", link) for link in links} == {
        *(f"rc{level}.d/Ksvtree" for level in "016"),
        *(f"rc{level}.d/Ssvtree" for level in "2345"),
    }
    assert "# chkconfig: 2345 " in installed.say("cat /etc/init.d/svtree")


def test_a_policy_that_forbids_to_start_it_is_honoured(installed: Machine) -> None:
    assert service(installed, "status") == (3, "svtree is not running.\n")


def test_the_answers_are_in_the_configuration(installed: Machine) -> None:
    assert installed.say("cat /etc/svtree/control/me /etc/svtree/control/locals") == "mail.example.com\n" * 2
    assert installed.say("cat /etc/svtree/service/smtpd/tcp.smtp").splitlines() == [
        '192.168.1.:allow,RELAYCLIENT=""',
        '10.1.2.3:allow,RELAYCLIENT=""',
        '127.:allow,RELAYCLIENT=""',
        ":allow",
    ]
    assert installed.say("readlink /service").strip() == "/var/lib/svtree/service"


def test_the_accounts_are_made(installed: Machine) -> None:
    for name in ("alias", "qmaild", "qmaill", "qmailp"):
        assert installed.say(f"id -gn {name}") == "nofiles\n"
    for name in ("qmailq", "qmailr", "qmails"):
        assert installed.say(f"id -gn {name}") == "qmail\n"
    assert installed.say("stat -c %U /var/lib/svtree/qmail/queue/mess /var/lib/svtree/qmail/queue/info").split() == [
        "qmailq",
        "qmails",
    ]


def test_start_and_stop_say_what_they_do(installed: Machine) -> None:
    assert service(installed, "start") == (0, "Starting service tree: svtree.\n")
    until(installed.fine, PATIENCE, "all as wanted")
    assert service(installed, "start")[0] == 0, "started already: nothing to do"
    code, text = service(installed, "status")
    assert code == 0
    assert re.match(r"svtree is running \(pid \d+\)\.\nSERVICE +STATE", text)
    assert service(installed, "reload") == (0, "Reloading service tree: svtree.\n")
    assert service(installed, "force-reload") == (0, "Reloading service tree: svtree.\n")
    code, text = service(installed, "restart")
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()] == ["Restarting", "Stopping", "Starting"]
    code, text = service(installed, "sing")
    assert code == 1
    assert text.startswith("Usage: /etc/init.d/svtree {start|stop|restart|reload|force-reload|status}")
    assert service(installed, "stop") == (0, "Stopping service tree: svtree.\n")
    assert service(installed, "status")[0] == 3
    assert service(installed, "reload")[0] != 0
    assert service(installed, "stop")[0] == 0


def test_chains_of_the_private_programs_stay_in_one_process(installed: Machine) -> None:
    code = (
        "import sys; sys.path.insert(0, '/usr/share/svtree/python')\\n"
        "from svtree import multicall\\n"
        "print(multicall.resolve(b'qmail-smtpd', {b'PATH': b'/usr/libexec/svtree/bin'}))\\n"
    )
    assert "Builtin" in installed.say(f'printf "{code}" | /usr/bin/python3 -I -')


def test_todays_mail_is_one_command_away_and_changed_configuration_stays(installed: Machine, tmp_path: Path) -> None:
    def put(name: str) -> None:
        certificates.make(tmp_path, name)
        for file in ("key.pem", "cert.pem"):
            installed.say(f"cat >/tmp/{file} <<'EOF'\n{(tmp_path / file).read_text()}EOF")

    put("mail.example.com")
    installed.say("service svtree start")
    until(installed.fine, PATIENCE, "all as wanted")
    installed.say("/usr/libexec/svtree/setup --tls /tmp/cert.pem /tmp/key.pem")
    until(
        lambda: "pop3s" in installed.say("svtree status /var/lib/svtree") and installed.fine(),
        PATIENCE,
        "nine services",
    )
    assert installed.say("stat -c '%U %a' /etc/svtree/control/servercert.pem") == "qmaild 400\n"
    assert installed.say("readlink /var/lib/svtree/service/smtps/run") == "/etc/svtree/service/smtps/run\n"
    assert installed.say("cat /etc/svtree/service/smtps/env/QMAILHOME") == "/var/lib/svtree/qmail\n"
    installed.say("rm /etc/svtree/control/rcptcheck; rm -r /var/lib/svtree/service/pop3s")
    put("new.example.com")
    installed.say("/usr/libexec/svtree/setup --tls /tmp/cert.pem /tmp/key.pem")
    assert installed.say("cat /etc/svtree/control/servercert.pem") == installed.say("cat /tmp/key.pem /tmp/cert.pem")
    assert installed.run("ls /etc/svtree/control/rcptcheck /var/lib/svtree/service/pop3s").code != 0
    service(installed, "stop")


def test_the_commands_and_the_mail_server_take_their_places(installed: Machine) -> None:
    installed.say("dpkg -i /packages/svtree-*.deb && service svtree start")
    until(installed.fine, PATIENCE, "all as wanted")
    assert installed.say("svc -d /service/pop3d && svc -u /service/pop3d && svok /service/smtpd") == ""
    assert installed.say("svstat /service/smtpd").startswith("/service/smtpd: up (pid ")
    installed.say("printf 'Subject: to postmaster\\n\\nx\\n' | sendmail postmaster")
    until(
        lambda: "to postmaster" in installed.say("cat /var/qmail/alias/Maildir/new/*"),
        PATIENCE,
        "the message in a Maildir",
    )
    assert installed.say("mailq && newaliases") == ""
    service(installed, "stop")


def test_a_service_that_was_removed_stays_removed_and_state_outlives_removal(installed: Machine) -> None:
    installed.say("rm -r /var/lib/svtree/service/pop3d; dpkg -r svtree-mail svtree-commands svtree")
    installed.say("ls /var/lib/svtree/qmail/alias/Maildir/new/* /etc/svtree/service/smtpd/run")
    installed.say("dpkg -i /packages/*.deb")
    assert installed.run("ls /var/lib/svtree/service/pop3d").code != 0
    assert "smtpd" in installed.say("ls /var/lib/svtree/service")


def test_purge_leaves_nothing(installed: Machine, before: set[str]) -> None:
    installed.say("dpkg -P svtree-mail svtree-commands svtree && rm /usr/sbin/policy-rc.d")
    after = files(installed) | set(installed.say("cat /etc/passwd /etc/group").splitlines())
    assert after - before == set()
    assert before - after == set()


def test_beside_another_mail_server_smtpd_keeps_quiet(installed: Machine) -> None:
    installed.say("printf '#!/bin/sh\\nexit 0\\n' >/usr/sbin/sendmail; chmod 755 /usr/sbin/sendmail")
    installed.say("dpkg -i /packages/svtree_*.deb")
    assert installed.say("cd /var/lib/svtree/service && echo */down") == "smtpd/down\n"
    installed.say("service svtree stop; dpkg -P svtree; rm /usr/sbin/sendmail")
