"""tcpclient beside the original: texts, codes, environment, descriptors, names, and the order of attempts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.harness import DEADLINE, Processes, Result, free_port, original, ours, run
from tests.tcp.answering import Answering, answering, unanswering
from tests.tcp.identserver import identserver
from tests.tcp.nameserver import Zone, loopback, nameserver

pytestmark = pytest.mark.oracle
SHOW = ("sh", "-c", "cat <&6; ls /proc/self/fd; env | grep -E '^(PROTO|TCP)' | sort")
KEPT = {"TCPLOCALHOST": "old", "TCPREMOTEHOST": "old", "TCPREMOTEINFO": "old", "PROTO": "old", "TCPREMOTEIP": "old"}


def settled(result: Result) -> Result:
    """Without the near port, which is another one each time."""
    return Result(result.code, re.sub(rb"(?m)^TCPLOCALPORT=\d+$", b"TCPLOCALPORT=N", result.out), result.err)


def both(*arguments: str, env: dict[str, str] | None = None) -> Result:
    """What the original does, having checked that ours does the same."""
    theirs = settled(run([original("tcpclient"), *arguments], env=env))
    assert settled(run([ours("tcpclient"), *arguments], env=env)) == theirs
    return theirs


@pytest.fixture
def greeter() -> Iterator[Answering]:
    with answering(b"hello\r\n") as server:
        yield server


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("0",),
        ("0", "1"),
        ("-q",),
        ("-q", "0", "1"),
        ("-9", "0", "1", "true"),
        ("-p",),
        ("-i", "x", "0", "1", "true"),
        ("-i", "1.2.3", "0", "1", "true"),
        ("-RHl0", "0", "no-such-service", "true"),
        ("-RHl0", "0", "", "true"),
        ("-RHl0", "0", "x1", "true"),
        ("-RHl0", "1.2.3", "1", "true"),
        ("-qRHl0", "1.2.3", "1", "true"),
        ("-i", "192.0.2.1", "-RHl0", "0", "1", "true"),
        ("-qi", "192.0.2.1", "-RHl0", "0", "1", "true"),
    ],
)
def test_the_same_texts_and_codes(arguments: tuple[str, ...]) -> None:
    assert both(*arguments).code in (100, 111)


@pytest.mark.parametrize(
    "options",
    [("-RHl0",), ("-RHl", "name"), ("-vRHl0",), ("-qRHl0",), ("-DRHl0",), ("-RHl0", "-T0"), ("-RHl0", "-T", "5+")],
)
@pytest.mark.parametrize("host", ["0", "", "127.0.0.1", "[127.0.0.1]", "127.0.0.257"])
def test_the_program_has_the_connection_and_its_environment(options: tuple[str, ...], host: str) -> None:
    with answering(b"hello\r\n", ip="0.0.0.0") as server:
        done = both(*options, host, str(server.port), *SHOW, env=KEPT)
    assert done.out.startswith(b"hello\r\n")
    assert b"TCPREMOTEHOST" not in done.out


def test_a_port_beyond_16_bits_is_what_is_left_of_it(greeter: Answering) -> None:
    assert both("-RHl0", "0", str(greeter.port + 65536), *SHOW).code == 0


def test_the_near_end_can_be_chosen(greeter: Answering) -> None:
    port = free_port()
    for program in (original("tcpclient"), ours("tcpclient")):
        local = loopback()
        done = run([program, "-RHl0", "-i", local, "-p", str(port), "0", str(greeter.port), *SHOW])
        assert f"TCPLOCALIP={local}\nTCPLOCALPORT={port}\n".encode() in done.out


def test_a_refusal_and_a_program_that_cannot_be_run(greeter: Answering) -> None:
    port = str(free_port())
    assert both("-RHl0", "0", port, "true") == Result(
        111, b"", f"tcpclient: unable to connect to 127.0.0.1 port {port}: connection refused\n".encode()
    )
    assert both("-qRHl0", "0", port, "true") == Result(111, b"", b"")
    assert both("-RHl0", "0", str(greeter.port), "./missing").code == 111
    assert both("-qRHl0", "0", str(greeter.port), "./missing") == Result(111, b"", b"")


def test_the_program_s_exit_code_and_its_broken_pipes_are_its_own(greeter: Answering) -> None:
    assert both("-RHl0", "0", str(greeter.port), "sh", "-c", "exit 9").code == 9
    assert both("-RHl0", "0", str(greeter.port), "sh", "-c", "grep SigIgn /proc/self/status").code == 0


@pytest.mark.root
def test_names_and_ident_are_found_out() -> None:
    ip = loopback()
    reverse = ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
    zone = Zone({"many.example": [ip]}, {reverse: "Server.Example", "1.0.0.127.in-addr.arpa": "odd_name!.example"})
    with (
        nameserver(zone, 53) as names,
        answering(b"hello\r\n", ip=ip) as server,
        identserver(b"1 , 2 : USERID : UNIX : some one\r\n", ip, 113),
    ):
        env = {**KEPT, "DNSCACHEIP": names.ip, "LOCALDOMAIN": "example"}
        full = both("many", str(server.port), *SHOW, env=env)
        assert b"TCPREMOTEHOST=server.example\n" in full.out
        assert b"TCPREMOTEINFO=someone\n" in full.out
        assert b"TCPLOCALHOST=" in full.out
        both("-h", "many.example.", str(server.port), *SHOW, env=env)
        both("-Hr", "many", str(server.port), *SHOW, env=env)
        assert (
            both("-Rh", "other", str(server.port), *SHOW, env=env).err == b"tcpclient: fatal: no IP address for other\n"
        )
        zone.names.clear()
        both(ip, str(server.port), *SHOW, env=env)


@pytest.mark.root
def test_a_name_server_that_fails_is_a_temporary_error_for_the_host_and_none_for_the_rest() -> None:
    # Truncated, so that the original asks by TCP, where it does not try again for a minute.
    with nameserver(Zone(truncated=True, code=2), 53) as names, answering(b"hello\r\n") as server:
        env = {**KEPT, "DNSCACHEIP": names.ip}
        assert b"temporarily unable to figure out IP address for some.example: " in (
            run([original("tcpclient"), "some.example", "1", "true"], env=env).err
        )
        mine = run([ours("tcpclient"), "some.example", "1", "true"], env=env)
        assert mine.code == 111
        assert b"tcpclient: fatal: temporarily unable to figure out IP address for some.example: " in mine.err
        done = both("-R", "127.0.0.1", str(server.port), *SHOW, env=env)
        assert b"HOST=" not in done.out


@pytest.mark.root
def test_addresses_are_tried_in_turn_and_slow_ones_once_more(processes: Processes) -> None:
    slow, closed = loopback(), loopback()
    with nameserver(Zone({"two.example": [slow, closed]}), 53) as names, unanswering(slow) as port:
        env = {"DNSCACHEIP": names.ip}
        arguments = ["-T", "1+1", "-RHl0", "two.example", str(port), "true"]
        started = [
            processes.start([program, *arguments], env=env) for program in (original("tcpclient"), ours("tcpclient"))
        ]
        results = [(process.wait(DEADLINE), process.stderr.read() if process.stderr else b"") for process in started]
    expected = (
        f"tcpclient: unable to connect to {closed} port {port}: connection refused\n"
        f"tcpclient: unable to connect to {slow} port {port}: timed out\n"
    )
    assert results == [(111, expected.encode())] * 2


@pytest.mark.root
def test_the_first_address_that_answers_is_taken() -> None:
    closed, opened = loopback(), loopback()
    with (
        nameserver(Zone({"two.example": [closed, opened]}), 53) as names,
        answering(b"hello\r\n", ip=opened) as server,
    ):
        for _ in range(3):
            for program in (original("tcpclient"), ours("tcpclient")):
                done = run([program, "-qRHl0", "two.example", str(server.port), *SHOW], env={"DNSCACHEIP": names.ip})
                assert f"TCPREMOTEIP={opened}\n".encode() in done.out


def test_descriptors_6_and_7_of_before_are_not_in_the_way(greeter: Answering) -> None:
    for program in (original("tcpclient"), ours("tcpclient")):
        script = (
            f'exec "{program}" -RHl0 0 {greeter.port} sh -c "cat <&6; readlink /proc/self/fd/7" 6</dev/null 7</dev/null'
        )
        done = run(["sh", "-c", script])
        assert done.out.startswith(b"hello\r\nsocket:")
