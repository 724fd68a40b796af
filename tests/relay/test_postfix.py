"""A Postfix main.cf as rules and control files, beside a model of Postfix's lists."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import rules
from svtree.relay import aliases, postfix
from svtree.relay.conversion import Draft


def converted(text: str, files: dict[bytes, bytes] | None = None) -> Draft:
    draft = Draft()
    postfix.convert(text.encode(), "main.cf", draft, (files or {}).get, b"mail.example.com")
    return draft


def control(draft: Draft, name: str) -> list[str]:
    return [each.decode() for each in draft.controls.get(name, {})]


def relays(draft: Draft, ip: str) -> bool:
    compiled: dict[bytes, bytes] = {}
    for key, data in rules.records(draft.tcp_smtp()):
        compiled.setdefault(key, data)
    found = rules.decide(compiled.get, ip.encode())
    assert not found.deny
    return (b"RELAYCLIENT", b"") in found.environ


def as_postfix(patterns: list[str], ip: str) -> bool:
    """The first pattern that matches decides; none is no."""
    client = ipaddress.ip_address(ip)
    for pattern in patterns:
        network = ipaddress.ip_network(pattern.removeprefix("!").replace("[", "").replace("]", ""))
        if client.version == network.version and client in network:
            return not pattern.startswith("!")
    return False


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Networks that are near one another, so that they lie in one another."""
    out = draw(st.sampled_from(["", "", "!"]))
    if draw(st.booleans()):
        start = ipaddress.IPv4Address(0x0A000000 + draw(st.integers(0, 0x3FF)))
        return out + str(ipaddress.ip_network(f"{start}/{draw(st.integers(20, 32))}", strict=False))
    start6 = ipaddress.IPv6Address((0x20010DB8 << 96) + draw(st.integers(0, 0x3F)))
    network = ipaddress.ip_network(f"{start6}/{draw(st.integers(120, 128))}", strict=False)
    return f"{out}[{network.network_address}]/{network.prefixlen}"


clients = st.integers(0, 0x3FF).map(lambda each: str(ipaddress.IPv4Address(0x0A000000 + each))) | st.integers(
    0, 0x3F
).map(lambda each: str(ipaddress.IPv6Address((0x20010DB8 << 96) + each)))


@given(st.lists(networks(), min_size=1, max_size=8), st.lists(clients, min_size=1, max_size=10))
def test_rules_let_relay_whom_mynetworks_does(patterns: list[str], ips: list[str]) -> None:
    draft = converted("mynetworks = " + ", ".join(patterns))
    for ip in ips:
        assert relays(draft, ip) is as_postfix(patterns, ip)


def test_lists_go_on_in_the_next_line_and_in_files_and_know_variables() -> None:
    draft = converted(
        "# comment\nmynet = 10.0.0.0/8\nmynetworks = 127.0.0.0/8,\n # not this\n\t$mynet /etc/nets\n"
        "mydomain = b.example\n"
        "mydestination = $myhostname, localhost.${mydomain}\n",
        {b"/etc/nets": b"# inside\n192.168.1.0/28\n[2001:db8::]/32\n"},
    )
    assert [ip for ip in ("127.0.0.9", "10.2.3.4", "192.168.1.15", "2001:db8::9") if relays(draft, ip)] == [
        "127.0.0.9",
        "10.2.3.4",
        "192.168.1.15",
        "2001:db8::9",
    ]
    assert not relays(draft, "192.168.1.16")
    assert control(draft, "locals") == ["mail.example.com", "localhost.b.example"]
    assert not draft.remarks


def test_without_settings_it_is_postfix_with_its_defaults() -> None:
    draft = converted("")
    assert relays(draft, "127.0.0.1")
    assert not relays(draft, "192.0.2.1")
    assert control(draft, "locals") == ["mail.example.com", "localhost.example.com", "localhost"]
    assert control(draft, "rcpthosts") == control(draft, "locals")
    assert not draft.remarks


@pytest.mark.parametrize(
    ("relayhost", "route"),
    [
        ("[smtp.isp.example]", ":smtp.isp.example"),
        ("[smtp.isp.example]:587", ":smtp.isp.example:587"),
        ("[smtp.isp.example]:submission", ":smtp.isp.example:587"),
        ("[192.0.2.1]:25", ":[192.0.2.1]:25"),
        ("192.0.2.1", ":[192.0.2.1]"),
        ("isp.example:2525", ":isp.example:2525"),
        ("", ""),
        ("[2001:db8::1]", ""),
        ("[smtp.isp.example]:smtps", ""),
    ],
)
def test_relayhost_is_a_route_for_all_mail(relayhost: str, route: str) -> None:
    assert control(converted(f"relayhost = {relayhost}"), "smtproutes") == ([route] if route else [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("mynetworks = hash:/etc/postfix/nets", "table that cannot be read"),
        ("mynetworks = !/etc/nets", "cannot be read"),
        ("mynetworks = /missing", "cannot be read"),
        ("mynetworks = 192.168.1.1/24", "beyond the length"),
        ("mynetworks = 192.168.1", "no address or network"),
        ("mynetworks = 10.0.0.0/8 10.1.0.0/16", "covers it"),
        ("mynetworks_style = subnet", "interfaces"),
        ("mydestination = a.example, ${x?y}", "only $name"),
        ("mydestination = hash:/etc/postfix/dest", "table"),
        ("mydestination = !a.example", "no exceptions"),
        ("relayhost = isp.example", "no mail exchangers"),
        ("transport_maps = hash:/etc/postfix/transport", "smtproutes"),
        ("virtual_alias_maps = hash:/etc/postfix/virtual", "table"),
        ("recipient_delimiter = +", "dash"),
        ("x = $x\nmydestination = $x", "itself"),
        ("no parameter", "no parameter"),
    ],
)
def test_what_is_not_carried_is_said_with_its_line(line: str, reason: str) -> None:
    draft = converted(f"# one\n\n{line}\n")
    assert {each.line for each in draft.remarks if reason in each.reason} == {3}


def test_size_and_relay_domains() -> None:
    draft = converted(
        "message_size_limit = 1000000\nrelay_domains = a.example, .b.example\nmydestination = c.example\n"
    )
    assert control(draft, "databytes") == ["1000000"]
    assert control(draft, "rcpthosts") == ["c.example", "a.example", ".a.example", ".b.example"]
    assert control(draft, "locals") == ["c.example"]


@given(st.text(max_size=80))
def test_whatever_a_file_holds_the_rules_compile(text: str) -> None:
    assert list(rules.records(converted("mynetworks = " + text).tcp_smtp()))
    assert list(rules.records(converted(text).tcp_smtp()))


def test_aliases_become_dot_qmail_files() -> None:
    draft = Draft()
    text = (
        b"# aliases\npostmaster: root\nRoot:\tjiro, saburo@b.example,\n  \"|/bin/prog -x, 'y'\"\n"
        b"list: :include:/etc/list\n"
        b'owner-list: jiro\nnobody: /dev/null\nf.g: /var/mail/x\n"q": \\jiro\nself: self, jiro\nbad name: x\nno alias\n'
    )
    aliases.convert(text, "aliases", draft, b"mail.example.com")
    assert draft.aliases == {
        b".qmail-postmaster": [b"&root@mail.example.com"],
        b".qmail-root": [b"&jiro@mail.example.com", b"&saburo@b.example", b"|/bin/prog -x, 'y'"],
        b".qmail-owner-list": [b"&jiro@mail.example.com"],
        b".qmail-list-owner": [b"&jiro@mail.example.com"],
        b".qmail-nobody": [b"# what comes here is dropped"],
        b".qmail-f:g": [b"/var/mail/x"],
        b".qmail-q": [b"&jiro@mail.example.com"],
        b".qmail-self": [b"&jiro@mail.example.com"],
    }
    assert sorted(each.line for each in draft.remarks) == [3, 5, 8, 10, 11, 12]
