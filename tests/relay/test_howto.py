"""POP before SMTP as the HOWTO types it: two services and an age, joined by a directory of grants."""

from __future__ import annotations

import os
import poplib
import re
import smtplib
import subprocess
from pathlib import Path

import pytest

from tests.harness import BIN, DEADLINE, Processes, free_port, ours, run, until
from tests.mail.queue.post import HOST, Post

# As the HOWTO types them, line by line.
SETUP = """
mkdir /etc/relay-ctrl
mkdir -p /var/qmail/relay-ctrl/spool
chmod 700 /var/qmail/relay-ctrl
chmod 777 /var/qmail/relay-ctrl/spool
cd /etc/relay-ctrl
echo /var/qmail/relay-ctrl/spool > RELAY_CTRL_DIR
cd /etc/relay-ctrl
echo 600 > RELAY_CTRL_EXPIRY
"""
POP3 = r"""
/usr/local/bin/envdir /etc/relay-ctrl \
/usr/local/bin/relay-ctrl-chdir \
/usr/local/bin/tcpserver -v -R -H 0 pop3 \
/var/qmail/bin/qmail-popup hoge.example.com /bin/checkpassword \
/usr/local/bin/relay-ctrl-allow qmail-pop3d Maildir 2>&1 \
| /var/qmail/bin/splogger pop3d 3 &
"""
SMTP = r"""
/usr/local/bin/envdir /etc/relay-ctrl \
/usr/local/bin/relay-ctrl-chdir \
/usr/local/bin/tcpserver -v -x /etc/tcp.smtp.cdb \
 -R -H -u 71 -g 70 0 smtp /usr/local/bin/relay-ctrl-check \
/var/qmail/bin/qmail-smtpd 2>&1 \
| /var/qmail/bin/splogger smtp 3 &
"""
CRONTAB = "* * * * * /usr/local/bin/envdir /etc/relay-ctrl /usr/local/bin/relay-ctrl-age"


class Server:
    """What the HOWTO sets up, below a folder, with ports and accounts that a test may have."""

    def __init__(self, folder: Path, processes: Processes, ip: str) -> None:
        self.post = Post(folder, processes)
        self.post.control("rcpthosts", HOST)
        self.post.user("jiro")
        self.folder = folder
        self.ip = ip
        self.ports = {"pop3": free_port(), "smtp": free_port()}
        self.log = folder / "syslog"
        with self.log.open("wb") as log:
            processes.start([ours("syslog-receiver"), f"unix:{folder}/dev-log"], stdout=log.fileno())
        until((folder / "dev-log").exists)
        (folder / "etc").mkdir()
        assert self.typed(SETUP).wait(DEADLINE) == 0
        (folder / "etc" / "tcp.smtp").write_text(":allow\n")
        assert self.typed("cd /etc/; tcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp").wait(DEADLINE) == 0
        for line in (POP3, SMTP):
            # The shell ends with its pipeline, and that with tcpserver.
            self.typed(line + "wait")
        until(lambda: self.relay() == 553, what="smtpd answers")
        until(lambda: self.log_in("wrong").startswith(b"-ERR"), what="pop3d answers")
        self.grant = folder / "qmail/relay-ctrl/spool" / ip

    def ours(self, text: str) -> str:
        """What was typed, with our paths, ports and accounts in the place of the HOWTO's."""
        for theirs, here in (
            ("/usr/local/bin/", f"{BIN}/"),
            ("/var/qmail/bin/", f"{BIN}/"),
            ("/bin/checkpassword", f"{BIN}/checkpassword"),
            ("/var/qmail/", f"{self.folder}/qmail/"),
            ("/etc/", f"{self.folder}/etc/"),
            ("0 pop3 ", f"{self.ip} {self.ports['pop3']} "),
            ("0 smtp ", f"{self.ip} {self.ports['smtp']} "),
            ("-u 71 -g 70", f"-u {os.geteuid()} -g {os.getegid()}"),
        ):
            # Where a word begins: what has been put in is not looked at again.
            text = re.sub(rf"(?<!\S){re.escape(theirs)}", here, text)
        return text

    def typed(self, text: str) -> subprocess.Popen[bytes]:
        words = f"trap 'kill $(jobs -p)' TERM; {self.ours(text)}"
        # Without -l it asks for its own name. Where nothing listens it is told at once that there is none.
        env = self.post.env({"SVTREE_SYSLOG": f"unix:{self.folder}/dev-log", "DNSCACHEIP": "127.0.0.99"})
        return self.post.processes.start(["bash", "-c", words], env=env)

    def relay(self) -> int:
        """What smtpd says to mail for elsewhere."""
        with smtplib.SMTP(self.ip, self.ports["smtp"], "client", DEADLINE) as client:
            client.helo()
            client.mail(f"jiro@{HOST}")
            return client.rcpt("c@elsewhere.example")[0]

    def log_in(self, password: str) -> bytes:
        client = poplib.POP3(self.ip, self.ports["pop3"], timeout=DEADLINE)
        try:
            client.user("jiro")
            return client.pass_(password)
        except poplib.error_proto as error:
            return bytes(error.args[0])
        finally:
            client.close()


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_a_login_opens_relaying_for_its_address_and_for_its_time(folder: Path, processes: Processes, ip: str) -> None:
    server = Server(folder, processes, ip)
    assert server.relay() == 553
    assert server.log_in("secret").startswith(b"+OK")
    until(server.grant.exists)
    assert server.relay() == 250
    os.utime(server.grant, (1, 1))
    assert server.relay() == 553
    server.grant.touch()
    os.utime(server.grant, (1, 1))
    command = server.ours(CRONTAB.removeprefix("* * * * * "))
    aged = run(["sh", "-c", command], env=server.post.env())
    assert (aged.code, aged.err) == (0, b"")
    assert not server.grant.exists()
    log = until(lambda: [text for text in [server.log.read_text()] if " smtp: " in text and " pop3d: " in text])[0]
    # splogger's seconds stand before what tcpserver says; facility 3 is daemon.
    assert re.search(r"daemon\.info pop3d: \d+\.\d+ tcpserver: status: 0/40", log)
    assert re.search(rf"daemon\.info smtp: \d+\.\d+ tcpserver: ok \d+ \S+ :\[?{re.escape(server.ip)}\]?::\d+", log)
