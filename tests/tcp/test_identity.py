"""Ident and names, beside servers of the test's own."""

from __future__ import annotations

import socket

import pytest

from svtree.system.resolver import Resolver
from svtree.tcp import identity
from svtree.tcp.connection import Peer
from tests.harness import free_port, until
from tests.tcp.identserver import identserver
from tests.tcp.nameserver import Zone, nameserver

PEER = Peer(b"127.0.0.1", 4321)


@pytest.mark.parametrize(
    ("answer", "user"),
    [
        (b"4321,25:USERID:UNIX:joe\r\n", b"joe"),
        (b"4321 , 25 : USERID : UNIX : j o\te : x\r\n", b"joe:x"),
        (b"4321,25:ERROR:NO-USER\r\n", b""),
        (b"4321,25:USERID:UNIX:joe", None),
        (b"", None),
        (b"a:b:c:" + b"x" * 400 + b"\r\n", b"x" * 257),
        (b"a:b:c:x\0y\r\n", b"x"),
        (b"\n", b""),
    ],
)
def test_the_user_is_what_stands_after_the_third_colon(answer: bytes, user: bytes | None) -> None:
    with identserver(answer) as (port, asked):
        assert identity.user(PEER, b"127.0.0.1", 25, 60, port) == user
    assert asked == [b"4321 , 25\r\n"]


def test_an_ident_server_that_is_silent_costs_the_timeout_and_no_more() -> None:
    with identserver(None) as (port, asked):
        assert identity.user(PEER, b"127.0.0.1", 25, 0.2, port) is None
        until(lambda: len(asked) == 1)


def test_without_an_ident_server_there_is_no_user() -> None:
    assert identity.user(PEER, b"127.0.0.1", 25, 5, free_port()) is None


def test_a_timeout_of_nothing_asks_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert identity.user(PEER, b"127.0.0.1", 25, 0, listener.getsockname()[1]) is None


def test_a_name_is_confirmed_when_it_leads_back() -> None:
    zone = Zone({"good.example": ["192.0.2.9", "192.0.2.1"], "bad.example": ["192.0.2.9"]})
    with nameserver(zone) as server:
        asking = Resolver({b"DNSCACHEIP": server.ip.encode()}, port=server.port, patience=(60,))
        assert identity.confirmed(asking, b"good.example", b"192.0.2.1")
        assert not identity.confirmed(asking, b"bad.example", b"192.0.2.1")
        assert not identity.confirmed(asking, b"none.example", b"192.0.2.1")
        zone.silent = True
        asking = Resolver({b"DNSCACHEIP": server.ip.encode()}, port=server.port, patience=(0.2,))
        assert not identity.confirmed(asking, b"good.example", b"192.0.2.1")
        assert identity.host_name(asking, b"192.0.2.1") is None
