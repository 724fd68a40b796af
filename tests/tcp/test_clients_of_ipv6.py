"""tcpclient and its friends with servers that have IPv6 addresses, which the originals cannot reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Result, free_port, ours, run
from tests.tcp.answering import Answering, answering
from tests.tcp.nameserver import Zone, loopback, nameserver
from tests.tcp.serving import needs_ipv6

pytestmark = needs_ipv6
SHOW = ("sh", "-c", "cat <&6; env | grep -E '^(PROTO|TCP)' | sort")
OLD = {"TCP6REMOTEHOST": "old", "TCPREMOTEHOST": "old", "TCP6INTERFACE": "old", "PROTO": "old"}


@pytest.fixture
def greeter() -> Iterator[Answering]:
    with answering(b"hello\r\n", ip="::1") as server:
        yield server


def port_of(done: Result) -> bytes:
    return next(line for line in done.out.splitlines() if line.startswith(b"TCPLOCALPORT=")).partition(b"=")[2]


@pytest.mark.parametrize("host", ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
def test_the_program_has_the_environment_that_tcpservers_has(greeter: Answering, host: str) -> None:
    done = run([ours("tcpclient"), "-vRHl", "me", host, str(greeter.port), *SHOW], env=OLD)
    port = port_of(done).decode()
    lines = [
        "hello\r",
        "PROTO=TCP6",
        "TCP6LOCALHOST=me",
        "TCP6LOCALIP=::1",
        f"TCP6LOCALPORT={port}",
        "TCP6REMOTEIP=::1",
        f"TCP6REMOTEPORT={greeter.port}",
        "TCPLOCALHOST=me",
        "TCPLOCALIP=::1",
        f"TCPLOCALPORT={port}",
        "TCPREMOTEIP=::1",
        f"TCPREMOTEPORT={greeter.port}",
    ]
    assert done.out.decode().split("\n") == [*lines, ""]
    assert done.err == f"tcpclient: connected to ::1 port {greeter.port}\n".encode()


def test_this_host_has_an_ipv6_address_too(greeter: Answering) -> None:
    for options in (("-6RHl0",), ("-4", "-6", "-RHl0"), ("-6RHl0", "-i", "::1")):
        assert run([ours("tcpclient"), *options, "0", str(greeter.port), *SHOW]).out.startswith(
            b"hello\r\nPROTO=TCP6\n"
        )
    assert run([ours("tcpclient"), "-4RHl0", "::1", str(greeter.port), "true"]) == Result(
        111, b"", b"tcpclient: fatal: no IP address for ::1\n"
    )


def test_a_refusal_names_the_address() -> None:
    port = free_port()
    done = run([ours("tcpclient"), "-RHl0", "::1", str(port), "true"])
    assert done == Result(111, b"", b"tcpclient: unable to connect to ::1 port %d: connection refused\n" % port)


@pytest.mark.root
def test_a_name_stands_for_its_ipv6_addresses_where_it_has_no_others() -> None:
    ip = loopback()
    zone = Zone({"both.example": [ip]}, addresses6={"both.example": ["::1"], "six.example": ["::1"]})
    zone.names["1" + ".0" * 31 + ".ip6.arpa"] = "six.example"
    with nameserver(zone, 53) as names, answering(b"six\r\n", ip="::1") as server:
        env = {"DNSCACHEIP": names.ip}
        with answering(b"four\r\n", ip=ip, port=server.port):
            for options, host, answer in (
                ((), "six.example", b"six\r\n"),
                (("-6",), "both.example", b"six\r\n"),
                ((), "both.example", b"four\r\n"),
                (("-4",), "both.example", b"four\r\n"),
            ):
                done = run([ours("tcpclient"), *options, "-RHl0", host, str(server.port), *SHOW], env=env)
                assert done.out.startswith(answer), done.err
            none = run([ours("tcpclient"), "-4RHl0", "six.example", str(server.port), "true"], env=env)
            assert none.err == b"tcpclient: fatal: no IP address for six.example\n"
            named = run([ours("tcpclient"), "-Rh", "six.example", str(server.port), *SHOW], env=env)
            assert b"\nTCPREMOTEHOST=six.example\n" in named.out
            assert b"\nTCP6REMOTEHOST=six.example\n" in named.out


@pytest.mark.parametrize("program", ["tcpcat", "mconnect"])
def test_friends_take_an_address(greeter: Answering, program: str) -> None:
    assert run([ours(program), "::1", str(greeter.port)]).out == b"hello\r\n"


def test_a_page_is_asked_for_at_an_address_in_brackets() -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\npage\r\n", ip="::1", until=b"\r\n\r\n") as server:
        for host in ("::1", "[::1]"):
            assert run([ours("http@"), host, "x", str(server.port)]).out == b"page\n"
    asked = b"GET /x HTTP/1.0\r\nHost: [::1]:%d\r\n\r\n" % server.port
    assert server.heard == [asked, asked]
