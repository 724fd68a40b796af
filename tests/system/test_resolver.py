"""The resolver, beside a name server of the test's own."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from svtree.system.resolver import Resolver
from tests.harness import until
from tests.tcp.nameserver import Running, Zone, nameserver
from tests.tcp.serving import needs_ipv6

ZONE = {"mail.example": ["192.0.2.1"], "many.example": ["192.0.2.1", "192.0.2.2"]}
NAMES = {"1.2.0.192.in-addr.arpa": "Mail.Example"}


# One answer that may take its time; two that are not waited for.
PATIENT, HASTY = (60.0,), (0.2, 0.2)


def resolver(server: Running, patience: tuple[float, ...] = PATIENT, **environ: str) -> Resolver:
    told = {"DNSCACHEIP": server.ip, "LOCALDOMAIN": "example", **environ}
    return Resolver(
        {name.encode(): value.encode() for name, value in told.items()}, port=server.port, patience=patience
    )


def test_a_name_has_addresses_and_an_address_a_name() -> None:
    with nameserver(Zone(ZONE, NAMES)) as server:
        asking = resolver(server)
        assert asking.exactly(b"mail.example") == [b"192.0.2.1"]
        assert sorted(asking.exactly(b"many.example")) == [b"192.0.2.1", b"192.0.2.2"]
        assert asking.name(b"192.0.2.1") == b"mail.example"


def test_what_does_not_exist_is_no_error() -> None:
    with nameserver(Zone(ZONE, NAMES)) as server:
        asking = resolver(server)
        assert asking.exactly(b"nobody.example") == []
        assert asking.name(b"192.0.2.99") is None


def test_a_short_name_is_qualified_and_an_address_is_not_asked_for() -> None:
    with nameserver(Zone(ZONE)) as server:
        asking = resolver(server)
        assert asking.addresses(b"mail") == [b"192.0.2.1"]
        assert asking.addresses(b"192.0.2.9") == [b"192.0.2.9"]
        assert asking.addresses(b"localhost.") == [b"127.0.0.1"]
        assert server.zone.asked == ["mail.example"]


def test_an_answer_that_is_cut_short_is_asked_for_again_by_tcp() -> None:
    with nameserver(Zone(ZONE, truncated=True)) as server:
        assert resolver(server).exactly(b"mail.example") == [b"192.0.2.1"]
        assert server.zone.by_tcp == 1


def test_a_forged_answer_is_passed_over() -> None:
    with nameserver(Zone(ZONE, forged_first=True)) as server:
        assert resolver(server).exactly(b"mail.example") == [b"192.0.2.1"]


@pytest.mark.parametrize("zone", [Zone(silent=True), Zone(rubbish=True)])
def test_a_server_that_does_not_answer_is_a_timeout(zone: Zone) -> None:
    with nameserver(zone) as server:
        with pytest.raises(OSError, match="timed out") as failure:
            resolver(server, HASTY).exactly(b"mail.example")
        until(lambda: len(zone.asked) == 2)
    assert failure.value.errno == errno.ETIMEDOUT


def test_a_server_that_fails_is_a_temporary_error() -> None:
    with nameserver(Zone(code=2)) as server, pytest.raises(OSError, match="temporarily") as failure:
        resolver(server).exactly(b"mail.example")
    assert failure.value.errno == errno.EAGAIN


def test_the_next_server_is_asked_when_one_is_silent() -> None:
    with nameserver(Zone(silent=True)) as silent, nameserver(Zone(ZONE), silent.port) as server:
        told = {b"DNSCACHEIP": f"{silent.ip}.{server.ip}".encode()}
        asking = Resolver(told, port=server.port, patience=(0.2, 1.0, 60.0))
        assert asking.exactly(b"mail.example") == [b"192.0.2.1"]
        until(lambda: set(silent.zone.asked) == {"mail.example"})


def test_a_name_that_no_server_could_know_is_a_protocol_error() -> None:
    with nameserver(Zone(ZONE)) as server, pytest.raises(OSError, match="63 bytes") as failure:
        resolver(server).exactly(b"a" * 64 + b".example")
    assert failure.value.errno == errno.EPROTO


def test_servers_and_domains_come_from_resolv_conf(folder: Path) -> None:
    configuration = folder / "resolv.conf"
    configuration.write_text(
        "# nameserver 192.0.2.99\nnameserver\t192.0.2.1\n nameserver 192.0.2.98\nnameserver ::1\nnameserver 192.0.2.2\n"
        "search a.example b.example\n"
    )
    with nameserver(Zone({"mail.b.example": ["192.0.2.5"]})) as server:
        plain = Resolver({}, configuration=bytes(configuration))
        assert plain.servers() == [b"192.0.2.1", b"::1", b"192.0.2.2"]
        told = {b"DNSCACHEIP": server.ip.encode()}
        asking = Resolver(told, port=server.port, configuration=bytes(configuration), patience=PATIENT)
        assert asking.addresses(b"mail") == [b"192.0.2.5"]
        assert server.zone.asked == ["mail.a.example", "mail.b.example"]


def test_without_any_server_this_host_is_asked(folder: Path) -> None:
    assert Resolver({}, configuration=bytes(folder / "nothing")).servers() == [b"127.0.0.1"]


@needs_ipv6
@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("ip", ["::1", "0:0:0:0:0:0:0:1", "::1%lo", "::1%1"])
def test_servers_may_have_ipv6_addresses(folder: Path, ip: str, truncated: bool) -> None:
    configuration = folder / "resolv.conf"
    configuration.write_text(f"nameserver {ip}\nnameserver fe80::7%eth9\n")
    with nameserver(Zone(ZONE, truncated=truncated), ip="::1") as server:
        asking = Resolver({}, port=server.port, configuration=bytes(configuration), patience=PATIENT)
        assert asking.servers() == [ip.encode(), b"fe80::7%eth9"]
        assert asking.exactly(b"mail.example") == [b"192.0.2.1"]
        assert server.zone.by_tcp == truncated


@needs_ipv6
def test_a_server_on_an_interface_that_is_not_there_is_passed_over() -> None:
    with nameserver(Zone(ZONE), ip="::1") as server:
        told = {b"DNSCACHEIP": b"fe80::7%nonesuch,::1 192.0.2.7"}
        asking = Resolver(told, port=server.port, patience=PATIENT)
        assert asking.servers() == [b"fe80::7%nonesuch", b"::1", b"192.0.2.7"]
        assert asking.exactly(b"mail.example") == [b"192.0.2.1"]


@pytest.mark.parametrize("told", [":", "::1x", "1::2::3", "fe80:", "::\xff%eth0", "1.2.3.4:53"])
def test_what_is_no_address_of_a_server_is_none(folder: Path, told: str) -> None:
    configuration = folder / "resolv.conf"
    configuration.write_text(f"nameserver {told}\n", encoding="latin-1")
    asking = Resolver({b"DNSCACHEIP": told.encode("latin-1")}, configuration=bytes(configuration))
    assert asking.servers() == [b"127.0.0.1"]


def test_a_rewriting_file_goes_first(folder: Path) -> None:
    rules = folder / "rewrite"
    rules.write_text("=mail:post.example\n*.: \n")
    with nameserver(Zone({"post.example": ["192.0.2.6"]})) as server:
        assert resolver(server, DNSREWRITEFILE=str(rules)).addresses(b"mail") == [b"192.0.2.6"]
