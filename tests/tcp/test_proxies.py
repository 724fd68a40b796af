"""tcpserver behind proxies: who may say for whom it comes, and what becomes of that."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from svtree.formats.proxy import SIGNATURE
from svtree.system.loop import Loop
from svtree.tcp.announced import Announcements
from svtree.tcp.connection import Peer
from tests.harness import DEADLINE, PATH, Processes, original, run, until
from tests.tcp.serving import NAMELESS, Serving, compile_rules, everything, greeting, serve, smtp_home

SHOW = ("sh", "-c", "env | grep -E '^(PROTO|TCP|RELAY)' | sort; cat")
HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 51240 25\r\n"
TRUSTED = ("--proxy", "127.0.0.2,127.7.0.0/16,::1")


def test_what_a_proxy_says_is_what_the_handler_and_the_rules_see(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '192.0.2.7:allow,RELAYCLIENT="x"\n192.0.2.8:deny\n')
    server = serve(processes, folder, *SHOW, options=(*NAMELESS, *TRUSTED, "-x", rules))
    told = server.get("127.0.0.2", HEADER + b"and more\n")
    assert told.split(b"\n") == [
        b"PROTO=TCP",
        b"RELAYCLIENT=x",
        b"TCPLOCALHOST=here",
        b"TCPLOCALIP=198.51.100.1",
        b"TCPLOCALPORT=25",
        b"TCPREMOTEIP=192.0.2.7",
        b"TCPREMOTEPORT=51240",
        b"and more",
        b"",
    ]
    server.until_logged(r"^tcpserver: pid \d+ by proxy 127.0.0.2 from 192.0.2.7$")
    server.until_logged(r"^tcpserver: ok \d+ here:198.51.100.1:25 :192.0.2.7::51240$")
    assert server.get("127.7.9.9", HEADER.replace(b"2.7", b"2.8")) == b""
    server.until_logged(r"^tcpserver: deny \d+ here:198.51.100.1:25 :192.0.2.8::51240$")


def test_the_second_version_names_ipv6(processes: Processes, folder: Path) -> None:
    ends = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    header = SIGNATURE + b"\x21\x21\x00\x24" + ends + b"\x00\x09\x00\x19"
    server = serve(processes, folder, *SHOW, options=(*NAMELESS, *TRUSTED))
    told = server.get("127.0.0.2", header)
    assert b"PROTO=TCP6\n" in told
    assert b"TCP6REMOTEIP=2001:db8::7\n" in told


def test_nobody_else_may_say_so(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *SHOW, options=(*NAMELESS, *TRUSTED))
    told = server.get("127.0.0.3", HEADER)
    assert b"TCPREMOTEIP=127.0.0.3\n" in told
    assert told.endswith(HEADER)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\x00\x00\x00"])
def test_a_proxys_own_connection_is_its_own(processes: Processes, folder: Path, header: bytes) -> None:
    server = serve(processes, folder, *SHOW, options=(*NAMELESS, *TRUSTED))
    assert b"TCPREMOTEIP=127.0.0.2\n" in server.get("127.0.0.2", header)


def test_a_proxy_that_says_nothing_of_the_kind_is_dropped(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "echo", "in", options=(*NAMELESS, *TRUSTED))
    assert server.get("127.0.0.2", b"EHLO client.example\r\n") == b""
    assert server.get("127.0.0.2") == b""
    told = "tcpserver: warning: dropping connection, no PROXY header from 127.0.0.2: "
    server.until_logged(f"^{told}neither version 1 nor version 2$")
    server.until_logged(f"^{told}connection closed$")


def test_a_header_that_does_not_come_is_not_waited_for() -> None:
    loop = Loop()
    dropped: list[tuple[Peer, bytes]] = []

    def drop(peer: Peer, why: bytes) -> None:
        dropped.append((peer, why))
        loop.stop()

    announcements = Announcements(loop, lambda *_: loop.stop(), drop, patience=0.1)
    ours, theirs = socket.socketpair()
    proxy = Peer(b"127.0.0.2", 1)
    try:
        with ours, theirs:
            theirs.sendall(HEADER[:20])
            announcements.expect(ours, proxy)
            assert len(announcements) == 1
            loop.run()
            assert theirs.recv(1) == b""
    finally:
        announcements.close()
        loop.close()
    assert dropped == [(proxy, b"timed out")]
    assert len(announcements) == 0


def named(ip: str) -> bytes:
    return HEADER.replace(b"192.0.2.7", ip.encode())


def hold(server: Serving, ip: str, proxy: str = "127.0.0.2") -> socket.socket:
    """A connection for a client that the proxy names; it has said so."""
    client = server.client(proxy)
    client.sendall(named(ip))
    return client


@pytest.mark.parametrize("more", [(), ("--workers", "3")], ids=["processes", "workers"])
def test_each_client_behind_a_proxy_has_a_share_of_its_own(
    processes: Processes, folder: Path, more: tuple[str, ...]
) -> None:
    options = (*NAMELESS, *TRUSTED, *more, "--max-per-ip", "1", "--max-per-net", "2", "--refusal", "421 no more")
    server = serve(processes, folder, "qmail-smtpd", options=options, env=smtp_home(folder))
    with hold(server, "192.0.2.7") as first:
        assert greeting(first) == b"220 host.example ESMTP\r\n"
        # By another proxy it is the same client.
        assert server.get("127.7.1.1", named("192.0.2.7")) == b"421 no more\r\n"
        with hold(server, "192.0.2.8") as neighbour, hold(server, "198.51.100.9") as stranger:
            assert greeting(neighbour) == greeting(stranger) == b"220 host.example ESMTP\r\n"
            assert server.get("127.0.0.2", named("192.0.2.9")) == b"421 no more\r\n"
    reasons = [match[1] for match in server.until_logged(r" deny .* (MAX\S+)$", 2)]
    assert reasons == ["MAXCONNIP:1", "MAXCONNC:2"]
    server.until_logged("end ", 5)
    with hold(server, "192.0.2.7") as again:
        assert greeting(again) == b"220 host.example ESMTP\r\n"


def test_a_rule_limits_the_client_that_a_proxy_names(processes: Processes, folder: Path) -> None:
    rules = compile_rules(
        folder, '192.0.2.:allow,MAXCONNIP="1",DIEMSG="421 one"\n198.51.100.:allow,MAXRATE="1/100000"\n127.:deny\n'
    )
    server = serve(processes, folder, "cat", options=(*NAMELESS, *TRUSTED, "-x", rules))
    with hold(server, "192.0.2.7") as first:
        first.sendall(b"here\n")
        assert greeting(first) == b"here\n"
        assert server.get("127.0.0.2", named("192.0.2.7")) == b"421 one\r\n"
        assert server.get("127.0.0.2", named("192.0.2.8") + b"in\n") == b"in\n"
    told = [server.get("127.0.0.2", named("198.51.100.1") + b"in\n") for _ in range(3)]
    assert told == [b"in\n", b"", b""]
    assert server.get("127.0.0.2", named("198.51.100.2") + b"in\n") == b"in\n"
    server.until_logged(r"^tcpserver: deny \d+ here:198.51.100.1:25 :198.51.100.1::51240 MAXRATE:1/100000$", 2)


def test_a_rule_that_is_asked_with_names_limits_that_client_too(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '192.0.2.:allow,MAXCONNIP="1",DIEMSG="421 one"\n=nobody.example:deny\n')
    # Nobody answers there, and says so at once.
    env = {"DNSCACHEIP": "127.255.255.254", "PATH": PATH}
    server = serve(processes, folder, "cat", options=("-hRlhere", *TRUSTED, "-x", rules), env=env)
    with hold(server, "192.0.2.7") as first:
        first.sendall(b"here\n")
        assert greeting(first) == b"here\n"
        assert server.get("127.0.0.2", named("192.0.2.7")) == b"421 one\r\n"
        assert server.get("127.0.0.2", named("192.0.2.8") + b"in\n") == b"in\n"


def test_who_is_waited_for_counts_for_the_limit_of_all(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat", options=(*NAMELESS, *TRUSTED, "-c", "1"))
    with server.client("127.0.0.2") as silent, server.client("127.0.0.3") as next_one:
        next_one.sendall(b"in\n")
        silent.sendall(HEADER + b"first\n")
        assert greeting(silent) == b"first\n"
        silent.close()
        assert greeting(next_one) == b"in\n"
    # The handler may speak before it is told of.
    server.until_logged("from 127.0.0.3")
    told = "\n".join(server.log())
    assert told.index("from 192.0.2.7") < told.index("tcpserver: end ") < told.index("from 127.0.0.3")


def test_a_drain_waits_for_who_has_not_been_announced(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "cat", options=(*NAMELESS, *TRUSTED, "--drain", "3600"))
    before = server.descriptors()
    with server.client("127.0.0.2") as client:
        client.sendall(HEADER[:9])
        until(lambda: server.descriptors() == before + 1)
        server.process.terminate()
        client.sendall(HEADER[9:] + b"served\n")
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"served\n"
    assert server.process.wait(DEADLINE) == 0


def test_a_header_may_come_byte_by_byte(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *SHOW, options=(*NAMELESS, *TRUSTED))
    with server.client("127.0.0.2") as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(HEADER)):
            client.sendall(HEADER[at : at + 1])
        client.shutdown(socket.SHUT_WR)
        assert b"TCPREMOTEIP=192.0.2.7\n" in everything(client)


def test_a_worker_reads_the_header_too(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '192.0.2.:allow,RELAYCLIENT=""\n192.0.3.:allow,MAXCONNIP="0",DIEMSG="421 never"\n')
    options = (*NAMELESS, "--workers", "1", *TRUSTED, "-x", rules)
    server = serve(processes, folder, "qmail-smtpd", options=options, env=smtp_home(folder))
    for header, code in ((HEADER, b"250"), (b"PROXY TCP4 10.0.0.1 10.0.0.2 3 4\r\n", b"553")):
        with server.client("127.0.0.2") as client:
            client.sendall(header)
            greeting(client)
            client.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@elsewhere.example>\r\nQUIT\r\n")
            assert everything(client).split(b"\r\n")[1][:3] == code
    assert server.get("127.0.0.2", HEADER.replace(b"2.7", b"3.7")) == b"421 never\r\n"


@pytest.mark.parametrize("version", ["--haproxy-protocol"])
def test_curl_is_a_proxy(processes: Processes, folder: Path, version: str) -> None:
    curl = original("curl")
    answer = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; echo $TCPREMOTEIP"
    server = serve(processes, folder, "sh", "-c", answer, options=(*NAMELESS, "--proxy", "127.0.0.1"))
    done = run([curl, "-sS", version, f"http://127.0.0.1:{server.port}/"], env={"PATH": PATH, "no_proxy": "*"})
    assert done.out == b"127.0.0.1\n", done.err
    server.until_logged("by proxy 127.0.0.1 from 127.0.0.1$")


def test_swaks_is_a_proxy(processes: Processes, folder: Path) -> None:
    swaks = original("swaks")
    env = smtp_home(folder)
    server = serve(processes, folder, "qmail-smtpd", options=(*NAMELESS, "--proxy", "127.0.0.1"), env=env)
    words = ["--server", f"127.0.0.1:{server.port}", "--quit-after", "HELO", "--helo", "client.example"]
    ends = [
        "--proxy-version",
        "2",
        "--proxy-family",
        "AF_INET",
        "--proxy-protocol",
        "STREAM",
        "--proxy-source",
        "192.0.2.7",
        "--proxy-source-port",
        "9",
    ]
    ends += ["--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"]
    done = run([swaks, *words, *ends])
    assert b"220 host.example ESMTP" in done.out, done.out + done.err
    server.until_logged(r"ok \d+ here:192.0.2.1:25 :192.0.2.7::9$")
