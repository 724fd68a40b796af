"""How much one client may have, and that it never takes another's."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.tcp.limits import NOBODY, Bounds, Census, Crowd, Place, Rate, Rates, place, rate
from tests.harness import Processes, until
from tests.tcp.serving import NAMELESS, Serving, compile_rules, connected, everything, greeting, serve, smtp_home

HOLD = ("sh", "-c", "echo here; exec cat")


@pytest.mark.parametrize(
    ("ip", "net"),
    [
        (b"192.0.2.7", b"192.0.2."),
        (b"2001:db8:1:2:3:4:5:6", b"2001:db8:1:2::"),
        (b"2001:db8::1", b"2001:db8::"),
        (b"::1", b"::"),
    ],
)
def test_a_network_is_what_one_customer_has(ip: bytes, net: bytes) -> None:
    assert place(ip) == Place(ip, net)


@pytest.mark.parametrize(
    ("text", "limit"),
    [(b"5/10", Rate(5, 10)), (b"5", Rate(5, 60)), (b"0/60", Rate(0, 60)), (b"", None), (b"5/0", None)],
)
def test_a_rate_is_a_count_in_a_time(text: bytes, limit: Rate | None) -> None:
    assert rate(text) == limit


def test_what_a_rule_says_stands_before_what_is_said_of_all() -> None:
    bounds = Bounds(per_ip=5, per_net=9, load=300, rate=Rate(1, 1))
    told = bounds.told(((b"MAXCONNIP", b"2"), (b"MAXCONNC", b""), (b"DIEMSG", b"421 no"), (b"RELAYCLIENT", b"")))
    assert told == Bounds(per_ip=2, per_net=None, load=300, rate=Rate(1, 1), message=b"421 no")
    assert bounds.told(((b"RELAYCLIENT", b""),)) is bounds


@pytest.mark.parametrize(
    ("bounds", "crowd", "load", "why"),
    [
        (Bounds(), Crowd(10**6, 10**6), 99.0, None),
        (Bounds(per_ip=2), Crowd(1, 9), 0.0, None),
        (Bounds(per_ip=2), Crowd(2, 2), 0.0, b"MAXCONNIP:2"),
        (Bounds(per_ip=0), NOBODY, 0.0, b"MAXCONNIP:0"),
        (Bounds(per_net=3), Crowd(0, 3), 0.0, b"MAXCONNC:3"),
        (Bounds(load=350), NOBODY, 3.49, None),
        (Bounds(load=350), NOBODY, 3.5, b"MAXLOAD:350"),
    ],
)
def test_a_limit_that_is_reached_is_named(bounds: Bounds, crowd: Crowd, load: float, why: bytes | None) -> None:
    assert bounds.exceeded(crowd, load) == why


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_the_census_counts_as_a_list_does(steps: list[tuple[bool, int, int]]) -> None:
    census = Census()
    here: list[Place] = []
    for comes, net, host in steps:
        where = place(b"10.0.%d.%d" % (net, host))
        if comes:
            census.enter(where)
            here.append(where)
        elif where in here:
            census.leave(where)
            here.remove(where)
        same = sum(each == where for each in here)
        near = sum(each.net == where.net for each in here)
        assert census.crowd(where) == Crowd(same, near)


def test_a_rate_allows_a_burst_and_then_one_at_a_time() -> None:
    rates, bounds, where = Rates(), Bounds(rate=Rate(3, 60)), place(b"192.0.2.1")
    assert [rates.exceeded(where, bounds, 100.0) for _ in range(4)] == [None] * 3 + [b"MAXRATE:3/60"]
    assert rates.exceeded(where, bounds, 119.9) == b"MAXRATE:3/60"
    assert rates.exceeded(where, bounds, 120.1) is None
    assert rates.exceeded(where, bounds, 120.2) == b"MAXRATE:3/60"
    assert rates.exceeded(place(b"192.0.2.2"), bounds, 120.2) is None


def test_a_network_has_a_rate_of_its_own() -> None:
    rates, bounds = Rates(), Bounds(rate=Rate(9, 60), rate_net=Rate(2, 60))
    told = [rates.exceeded(place(b"192.0.2.%d" % host), bounds, 5.0) for host in range(3)]
    assert told == [None, None, b"MAXRATEC:2/60"]
    assert rates.exceeded(place(b"192.0.3.1"), bounds, 5.0) is None


def test_a_rate_of_none_lets_nobody_in() -> None:
    assert Rates().exceeded(place(b"192.0.2.1"), Bounds(rate=Rate(0, 60)), 5.0) == b"MAXRATE:0/60"


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 3)), max_size=200))
def test_what_is_remembered_is_bounded_and_nobody_gets_more_than_the_rate(steps: list[tuple[int, float]]) -> None:
    rates, bounds = Rates(most=16), Bounds(rate=Rate(2, 10))
    now = 0.0
    last: dict[int, list[float]] = {}
    for host, wait in steps:
        now += wait
        if rates.exceeded(place(b"10.0.0.%d" % host), bounds, now) is None:
            last.setdefault(host, []).append(now)
        assert len(rates._full) <= 16
    if len({host for host, _ in steps}) <= 14:
        # In 10 seconds a burst of 2, and 2 more as time goes.
        for times in last.values():
            assert all(later - sooner >= 10 - 1e-6 for sooner, later in zip(times, times[4:], strict=False))


def refusals(server: Serving) -> list[str]:
    return [line.rsplit(" ", 1)[1] for line in server.log() if " deny " in line]


def test_a_client_that_fills_its_share_never_takes_anothers(processes: Processes, folder: Path) -> None:
    options = (*NAMELESS, "-c", "6", "--max-per-ip", "2", "--refusal", "421 too many connections from you")
    server = serve(processes, folder, *HOLD, options=options)
    with connected(server, 2) as clients:
        assert [greeting(client) for client in clients] == [b"here\n"] * 2
        for _ in range(20):
            assert server.get() == b"421 too many connections from you\r\n"
        with server.client("127.0.0.2") as other:
            assert greeting(other) == b"here\n"
    until(lambda: refusals(server) == ["MAXCONNIP:2"] * 20)
    server.until_logged(r"status: 0/6", 2)
    with server.client() as again:
        assert greeting(again) == b"here\n"


def test_a_network_has_a_share_too(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *HOLD, options=(*NAMELESS, "--max-per-net", "2"))
    with server.client("127.0.9.1") as first, server.client("127.0.9.2") as second:
        assert greeting(first) == greeting(second) == b"here\n"
        assert server.get("127.0.9.3") == b""
        with server.client("127.0.8.1") as other:
            assert greeting(other) == b"here\n"
    until(lambda: refusals(server) == ["MAXCONNC:2"])


def test_a_rate_is_kept(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, "echo", "in", options=(*NAMELESS, "--rate", "3/1000"))
    assert [server.get() for _ in range(5)] == [b"in\n"] * 3 + [b""] * 2
    assert server.get("127.0.0.2") == b"in\n"
    until(lambda: refusals(server) == ["MAXRATE:3/1000"] * 2)


@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("-h", "-t1")])
def test_a_rule_has_limits_as_the_toasters_patch_has_them(
    processes: Processes, folder: Path, more: tuple[str, ...]
) -> None:
    rules = compile_rules(
        folder,
        '127.0.0.2:allow,MAXCONNIP="1",DIEMSG="421 one is enough"\n=nobody.example:deny\n127.0.0.3:allow,MAXLOAD="0"\n',
    )
    # With -h the rules are asked in the connection's process: nobody answers there, and says so at once.
    env = {**smtp_home(folder), "DNSCACHEIP": "127.255.255.254"}
    server = serve(processes, folder, "qmail-smtpd", options=("-HRlhere", "-x", rules, *more), env=env)
    with server.client("127.0.0.2") as client:
        assert greeting(client) == b"220 host.example ESMTP\r\n"
        assert server.get("127.0.0.2") == b"421 one is enough\r\n"
        with server.client() as other:
            assert greeting(other) == b"220 host.example ESMTP\r\n"
    assert server.get("127.0.0.3") == b""
    until(lambda: refusals(server) == ["MAXCONNIP:1", "MAXLOAD:0"])


def test_limits_may_be_set_in_tcpservers_own_environment(processes: Processes, folder: Path) -> None:
    server = serve(processes, folder, *HOLD, env={"MAXCONNIP": "1", "DIEMSG": "no"})
    with server.client() as client:
        assert greeting(client) == b"here\n"
        assert server.get() == b"no\r\n"


def test_whoever_talks_before_the_greeting_is_refused(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.0.0.2:allow,GREETDELAY="0.5"\n')
    options = (*NAMELESS, "-x", rules, "--greet-delay", "600", "-B", "banner ")
    server = serve(processes, folder, "echo", "hello", options=options)
    assert server.get(say=b"EHLO bot\r\n") == b"554 you spoke before you were greeted\r\n"
    server.until_logged(r"^tcpserver: pregreet \d+ from 127.0.0.1: EHLO\?bot\?\?$")
    with server.client("127.0.0.2") as client:
        assert everything(client) == b"banner hello\n"
    with server.client() as client:
        client.shutdown(socket.SHUT_RDWR)
    server.until_logged("dropping connection, the client left before it was greeted")


def test_a_rule_may_spare_a_client_the_wait(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.0.0.2:allow,GREETDELAY="0"\n127.0.0.3:allow,GREETDELAY="500"\n')
    options = (*NAMELESS, "-x", rules, "--greet-delay", "600", "-B", "banner ")
    server = serve(processes, folder, "cat", options=options)
    assert server.get("127.0.0.2", b"at once\n") == b"banner at once\n"
    assert server.get("127.0.0.3", b"too early\n")[:4] == b"554 "


def test_who_waits_has_its_words_heard(processes: Processes, folder: Path) -> None:
    rules = compile_rules(folder, '127.0.0.2:allow,GREETDELAY="600"\n')
    options = (*NAMELESS, "-x", rules, "--workers", "1", "--greet-delay", "0.3")
    server = serve(processes, folder, "qmail-smtpd", options=options, env=smtp_home(folder))
    for _ in range(2):
        with server.client() as client:
            assert greeting(client) == b"220 host.example ESMTP\r\n"
            client.sendall(b"QUIT\r\n")
            assert everything(client) == b"221 host.example\r\n"
        assert server.get("127.0.0.2", b"HELO x\r\n")[:3] == b"554"
