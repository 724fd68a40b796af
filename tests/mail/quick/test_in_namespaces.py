"""QMQP and QMTP on their own ports between two hosts, each a network of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from svtree.formats.netstring import Decoder, encode
from tests.harness import Processes, ours, run, until
from tests.mail.queue.post import HOST, MESSAGE, Post

pytestmark = pytest.mark.root

# Sends what it reads, and says what comes back.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 60) as connection:
    connection.sendall(sys.stdin.buffer.read())
    connection.shutdown(socket.SHUT_WR)
    while data := connection.recv(65536):
        sys.stdout.buffer.write(data)
"""


class Host:
    """A network namespace, held by a process; its address is on a cable to the other one."""

    def __init__(self, processes: Processes, address: str) -> None:
        self.address = address
        # Reads until the test is over, so that the namespace stays.
        self._holder = processes.start(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        mine = Path("/proc/self/ns/net").readlink()
        until(lambda: self._namespace().readlink() != mine, what="a network of its own")

    def _namespace(self) -> Path:
        return Path(f"/proc/{self._holder.pid}/ns/net")

    @property
    def pid(self) -> int:
        return self._holder.pid

    def inside(self, *argv: str) -> list[str]:
        """The words that run a command there."""
        return ["nsenter", f"--net={self._namespace()}", *argv]


@pytest.fixture
def hosts(processes: Processes) -> tuple[Host, Host]:
    """The client and the server."""
    client, server = Host(processes, "192.0.2.1"), Host(processes, "192.0.2.2")
    cable = ["ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(server.pid)]
    must(client.inside(*cable))
    for host in (client, server):
        must(host.inside("ip", "address", "add", f"{host.address}/24", "dev", "cable"))
        for device in ("lo", "cable"):
            must(host.inside("ip", "link", "set", device, "up"))
    return client, server


def must(argv: Sequence[str]) -> None:
    done = run(list(argv))
    if done.code:
        pytest.skip(f"{' '.join(argv)}: {done.err.decode()}")


@pytest.fixture
def post(folder: Path, processes: Processes) -> Post:
    """The mail system of the server."""
    (folder / "server").mkdir()
    made = Post(folder / "server", processes)
    made.control("rcpthosts", HOST)
    made.user("jiro")
    made.start()
    return made


def listen(post: Post, host: Host, port: int, program: str, processes: Processes) -> None:
    argv = [ours("tcpserver"), "-HR", "-l", HOST, "0", str(port), program]
    processes.start(host.inside(*argv), env=post.env())
    listening = f":{port:04X} "
    until(lambda: listening in Path(f"/proc/{host.pid}/net/tcp").read_text(), what=f"{program} listens")


def test_a_host_without_a_queue_uses_another_s(
    folder: Path, hosts: tuple[Host, Host], post: Post, processes: Processes
) -> None:
    client, server = hosts
    listen(post, server, 628, "qmail-qmqpd", processes)
    control = folder / "client" / "control"
    control.mkdir(parents=True)
    (control / "me").write_text("client.example\n")
    # The first one is nobody's.
    (control / "qmqpservers").write_text(f"127.0.0.1\n{server.address}\n")
    env = {"QMAILHOME": str(control.parent), "QMAILQUEUE": ours("qmail-qmqpc"), "QMAILUSER": "saburo"}
    sent = run(client.inside(ours("sendmail"), f"jiro@{HOST}"), stdin=MESSAGE, env=env)
    assert (sent.code, sent.err) == (0, b"")
    (message,) = until(lambda: post.mail("jiro"))
    assert b"Received: from unknown (192.0.2.1)\n  by mail.example.com with QMQP; " in message


def test_a_host_sends_by_qmtp(hosts: tuple[Host, Host], post: Post, processes: Processes) -> None:
    client, server = hosts
    listen(post, server, 209, "qmail-qmtpd", processes)
    recipients = encode(f"jiro@{HOST}".encode()) + encode(b"x@elsewhere.example")
    request = encode(b"\n" + MESSAGE) + encode(b"a@b.example") + encode(recipients)
    said = run(client.inside(sys.executable, "-c", CLIENT, server.address, "209"), stdin=request)
    assert (said.code, said.err) == (0, b"")
    taken, denied = Decoder(1000).feed(said.out)
    assert taken.startswith(b"Kok ")
    assert denied.startswith(b"Dsorry, that domain isn't in my list of allowed rcpthosts")
    (message,) = until(lambda: post.mail("jiro"))
    assert b"Received: from unknown (192.0.2.1)\n  by mail.example.com with QMTP; " in message
