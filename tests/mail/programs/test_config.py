"""config and config-fast: what they tell, and the files that they make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from svtree.mail.configuring import default_domain, plus_domain
from tests.harness import Result, ours, run
from tests.tcp.nameserver import Zone, nameserver

HOST = os.uname().nodename.lower()


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "control").mkdir()
    return folder


def control(home: Path, name: str) -> str:
    return (home / "control" / name).read_text()


def test_config_fast_tells_what_the_howto_shows(home: Path) -> None:
    done = run([ours("config-fast"), "indy2.nix.co.jj"], env={"QMAILHOME": str(home)})
    assert (done.code, done.err) == (0, b"")
    assert done.out.decode() == (
        "Your fully qualified host name is indy2.nix.co.jj.\n"
        "Putting indy2.nix.co.jj into control/me...\n"
        "Putting nix.co.jj into control/defaultdomain...\n"
        "Putting co.jj into control/plusdomain...\n"
        "Putting indy2.nix.co.jj into control/locals...\n"
        "Putting indy2.nix.co.jj into control/rcpthosts...\n"
        "Now qmail will refuse to accept SMTP messages except to indy2.nix.co.jj.\n"
        "Make sure to change rcpthosts if you add hosts to locals or virtualdomains!\n"
    )
    assert (control(home, "me"), control(home, "plusdomain")) == ("indy2.nix.co.jj\n", "co.jj\n")
    assert (home / "control" / "me").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("words", [[], ["a b"], ["-x"], [""], ["a", "b"]])
def test_config_fast_wants_a_host_name(home: Path, words: list[str]) -> None:
    done = run([ours("config-fast"), *words], env={"QMAILHOME": str(home)})
    assert done == Result(100, b"", b"config-fast: usage: config-fast fqdn\n")
    assert list((home / "control").iterdir()) == []


def test_a_control_directory_that_is_not_there_is_named(folder: Path) -> None:
    done = run([ours("config-fast"), "a.b"], env={"QMAILHOME": str(folder)})
    assert done.code == 111
    assert done.err == f"config-fast: fatal: unable to write {folder}/control/me: file does not exist\n".encode()


@pytest.mark.parametrize(
    ("host", "domain", "plus"),
    [
        (b"a.b.c.d", b"b.c.d", b"c.d"),
        (b"a.b.c", b"b.c", b"b.c"),
        (b"a.b", b"a.b", b"a.b"),
        (b"a", b"a", b"a"),
    ],
)
def test_the_domains_come_of_the_name(host: bytes, domain: bytes, plus: bytes) -> None:
    assert (default_domain(host), plus_domain(host)) == (domain, plus)


@pytest.mark.root
def test_config_asks_the_dns(home: Path) -> None:
    zone = Zone(
        addresses={HOST: ["127.0.0.1"]},
        names={"1.0.0.127.in-addr.arpa": "Mail.Example.COM"},
    )
    # A host name without a dot is completed; here it is complete as it is.
    rules = home / "rewrite"
    rules.write_text("*.:\n")
    with nameserver(zone, 53) as server:
        env = {"QMAILHOME": str(home), "DNSCACHEIP": server.ip, "DNSREWRITEFILE": str(rules)}
        done = run([ours("config")], env=env)
    assert (done.code, done.err) == (0, b"")
    lines = done.out.decode().splitlines()
    assert lines[:5] == [
        f"Your hostname is {HOST}.",
        "Your host's fully qualified name in DNS is mail.example.com.",
        "Putting mail.example.com into control/me...",
        "Putting example.com into control/defaultdomain...",
        "Putting example.com into control/plusdomain...",
    ]
    assert "0.0.0.0: PTR lookup failed. I assume this address has no DNS name." in lines
    assert "127.0.0.1: Adding mail.example.com to control/locals..." in lines
    assert lines[-1] == "Make sure to change rcpthosts if you add hosts to locals or virtualdomains!"
    assert control(home, "me") == "mail.example.com\n"
    assert control(home, "locals") == control(home, "rcpthosts") == "mail.example.com\n"


@pytest.mark.root
@pytest.mark.parametrize("zone", [Zone(), Zone(addresses={HOST: ["127.0.0.9"]}), Zone(code=2)])
def test_config_writes_nothing_where_the_dns_knows_no_name(home: Path, zone: Zone) -> None:
    (home / "rewrite").write_text("*.:\n")
    with nameserver(zone, 53) as server:
        env = {"QMAILHOME": str(home), "DNSCACHEIP": server.ip, "DNSREWRITEFILE": str(home / "rewrite")}
        done = run([ours("config")], env=env)
    assert done == Result(
        0,
        f"Your hostname is {HOST}.\n".encode()
        + b"Sorry, I couldn't find your host's canonical name in DNS.\nYou will have to set up control/me yourself.\n",
        b"",
    )
    assert list((home / "control").iterdir()) == []
