"""POP before SMTP as the HOWTO types it: two services and an age, joined by a directory of grants."""

from __future__ import annotations

import os
import poplib
import smtplib
import subprocess
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, free_port, run, until
from tests.mail.queue.post import HOST, Post

POP3 = (
    "envdir etc/relay-ctrl relay-ctrl-chdir tcpserver -v -R -H -l HOST {ip} {pop3} qmail-popup HOST checkpassword"
    " relay-ctrl-allow qmail-pop3d Maildir 2>&1 | cat > pop3.log"
)
SMTP = (
    "envdir etc/relay-ctrl relay-ctrl-chdir tcpserver -v -x tcp.smtp.cdb -R -H -l HOST {ip} {smtp}"
    " relay-ctrl-check qmail-smtpd 2>&1 | cat > smtp.log"
)
AGE = "envdir etc/relay-ctrl relay-ctrl-age"


class Server:
    """What the HOWTO sets up, below a folder."""

    def __init__(self, folder: Path, processes: Processes, ip: str) -> None:
        self.post = Post(folder, processes)
        self.post.control("rcpthosts", HOST)
        self.post.user("jiro")
        self.folder = folder
        self.ip = ip
        self.ports = {"pop3": free_port(), "smtp": free_port()}
        (folder / "etc" / "relay-ctrl").mkdir(parents=True)
        (folder / "spool").mkdir(mode=0o700)
        (folder / "spool" / "relay-ctrl").mkdir()
        (folder / "spool" / "relay-ctrl").chmod(0o777)
        (folder / "etc/relay-ctrl/RELAY_CTRL_DIR").write_text(f"{folder}/spool/relay-ctrl\n")
        (folder / "etc/relay-ctrl/RELAY_CTRL_EXPIRY").write_text("600\n")
        (folder / "tcp.smtp").write_text(":allow\n")
        assert self.typed("tcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp").wait(DEADLINE) == 0
        for line in (POP3, SMTP):
            # The shell ends with its pipeline, and that with tcpserver.
            self.typed(line.replace("HOST", HOST).format(ip=ip, **self.ports))
        until(lambda: self.relay() == 553, what="smtpd answers")
        until(lambda: self.log_in("wrong").startswith(b"-ERR"), what="pop3d answers")
        self.grant = folder / "spool/relay-ctrl" / ip

    def typed(self, line: str) -> subprocess.Popen[bytes]:
        words = f"cd {self.folder}; trap 'kill $(jobs -p)' TERM; {line} & wait"
        return self.post.processes.start(["bash", "-c", words], env=self.post.env())

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
    aged = run(["sh", "-c", f"cd {folder} && {AGE}"], env=server.post.env())
    assert (aged.code, aged.err) == (0, b"")
    assert not server.grant.exists()
