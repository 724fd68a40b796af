"""A Sendmail access map as rules, beside a model of how Sendmail looks a client up."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import rules
from svtree.formats.rules import Decision
from svtree.relay import sendmail
from svtree.relay.conversion import Draft

RELAY, ALLOW, DENY = "relay", "allow", "deny"
VALUES = {
    "RELAY": RELAY,
    "OK": ALLOW,
    "SKIP": ALLOW,
    "REJECT": DENY,
    "DISCARD": DENY,
    "ERROR:5.7.1:550 go away": DENY,
    'ERROR:"450 later"': DENY,
    "550 no": DENY,
}


def converted(text: str) -> Draft:
    draft = Draft()
    sendmail.convert(text.encode().split(b"\n"), "access", draft)
    return draft


def decided(text: bytes, ip: str, host: str | None = None) -> str:
    """What compiled rules say, in Sendmail's terms."""
    compiled: dict[bytes, bytes] = {}
    for key, data in rules.records(text):
        compiled.setdefault(key, data)
    found: Decision = rules.decide(compiled.get, ip.encode(), None if host is None else host.encode())
    return DENY if found.deny else RELAY if (b"RELAYCLIENT", b"") in found.environ else ALLOW


def as_sendmail(entries: dict[str, str], ip: str, host: str | None = None) -> str:
    """LookUpDomain of the name, then LookUpAddress, of check_relay and Relay_ok; then "originated locally"."""
    keys = []
    if host is not None:
        labels = host.split(".")
        keys += [".".join(labels[at:]) for at in range(len(labels))]
    if ":" in ip:
        groups = ipaddress.IPv6Address(ip).exploded.split(":")
        keys += ["IPv6:" + ":".join(f"{int(each, 16):x}" for each in groups[:end]) for end in range(8, 0, -1)]
    else:
        octets = ip.split(".")
        keys += [".".join(octets[:end]) for end in range(4, 0, -1)]
    for key in keys:
        for tagged in (f"Connect:{key}", key):
            if tagged in entries:
                verdict = VALUES[entries[tagged]]
                return RELAY if verdict == ALLOW and ip in ("127.0.0.1", "::1") else verdict
    return RELAY if ip in ("127.0.0.1", "::1") else ALLOW


# Few numbers, so that entries and clients meet.
octets = st.sampled_from(["0", "1", "2", "127", "192", "255"])
addresses = st.lists(octets, min_size=4, max_size=4).map(".".join) | st.just("127.0.0.1")
prefixes = st.lists(octets, min_size=1, max_size=4).map(".".join) | st.just("127.0.0.1")
groups = st.sampled_from(["0", "1", "db8", "2001"])
addresses_v6 = st.lists(groups, min_size=8, max_size=8).map(lambda each: str(ipaddress.ip_address(":".join(each))))
prefixes_v6 = st.lists(groups, min_size=1, max_size=8).map(lambda each: "IPv6:" + ":".join(each))
labels = st.sampled_from(["a", "b", "example", "test"])
hosts = st.lists(labels, min_size=1, max_size=3).map(".".join)
tags = st.sampled_from(["", "Connect:"])
values = st.sampled_from(sorted(VALUES))


def maps(keys: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.builds(str.__add__, tags, keys), values, max_size=8)


def text_of(entries: dict[str, str]) -> str:
    return "# access\n" + "".join(f"{key}\t{value}\n" for key, value in entries.items())


@given(maps(prefixes | prefixes_v6), addresses | addresses_v6)
def test_rules_decide_about_every_address_as_sendmail_does(entries: dict[str, str], ip: str) -> None:
    assert decided(converted(text_of(entries)).tcp_smtp(), ip) == as_sendmail(entries, ip)


@given(maps(hosts), hosts)
def test_rules_decide_about_every_name_as_sendmail_does(entries: dict[str, str], host: str) -> None:
    # An address that no line is about: where both are, the remark says what differs.
    assert decided(converted(text_of(entries)).tcp_smtp(), "198.51.100.1", host) == as_sendmail(
        entries, "198.51.100.1", host
    )


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_with_a_length_is_what_cidrexpand_makes_of_it(
    start: ipaddress.IPv4Address, length: int, client: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network(f"{start}/{length}", strict=False)
    draft = converted(f"Connect:{network} RELAY\n")
    assert decided(draft.tcp_smtp(), str(client)) == (
        RELAY if client in network or str(client) == "127.0.0.1" else ALLOW
    )
    assert decided(draft.tcp_smtp(), str(network[0])) == RELAY
    assert decided(draft.tcp_smtp(), str(network[-1])) == RELAY


@pytest.mark.parametrize(
    ("line", "control", "values"),
    [
        ("To:partner.example RELAY", "rcpthosts", ["partner.example", ".partner.example"]),
        ("To:.partner.example RELAY", "rcpthosts", [".partner.example"]),
        ("partner.example RELAY", "rcpthosts", ["partner.example", ".partner.example"]),
        ("From:bad@Spam.Example REJECT", "badmailfrom", ["bad@spam.example"]),
        ("bad@spam.example DISCARD", "badmailfrom", ["bad@spam.example"]),
        ("From:spam.example ERROR:550 no", "badmailfrom", ["@spam.example"]),
        ("spam.example REJECT", "badmailfrom", ["@spam.example"]),
    ],
)
def test_what_is_about_senders_and_recipients_becomes_control_files(line: str, control: str, values: list[str]) -> None:
    draft = converted(line)
    assert [each.decode() for each in draft.controls[control]] == values


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Spam:a@b FRIEND", "filter"),
        ("ClientRate:192.168.1 10", "tcpserver has options"),
        ("TLS_Srv:x VERIFY", "TLS"),
        ("From:friend.example RELAY", "anybody can say so"),
        ("From:friend.example OK", "no sender is excepted"),
        ("From:user@ REJECT", "any host"),
        ("To:user@here.example REJECT", "single recipient"),
        ("To:here.example REJECT", "refused anyway"),
        ("Connect:192.168.300 REJECT", "no IPv4 address"),
        ("Connect:1.2.3.4.5 REJECT", "no IPv4 address"),
        ("Connect:10.0.0.1/8 RELAY", "bits are set beyond"),
        ("Connect:IPv6:2001:zzz RELAY", "no IPv6 address"),
        ("Connect:a_b!c RELAY", "neither an address nor a host"),
        ("Connect:192.168.1 QUARANTINE:x", "not known"),
        ("Connect:192.168.1", "without a value"),
        ("192.168.7 DISCARD", "not taken and dropped"),
        ("192.168.7 ERROR:550 hello", "without this text"),
        ("192.168.7 550 hello", "without this text"),
        ("=deny:x RELAY", "neither an address nor a host"),
        ('x.example,RELAYCLIENT="" OK', "neither an address nor a host"),
    ],
)
def test_what_is_not_carried_is_said_with_its_line(line: str, reason: str) -> None:
    draft = converted(f"# one\n\n{line}\n")
    assert [each.line for each in draft.remarks if reason in each.reason] == [3]


def test_of_two_lines_for_one_client_the_first_counts_and_the_other_is_told_of() -> None:
    draft = converted("10.1 RELAY\n10.1 REJECT\nConnect:10.2 REJECT\n10.2 RELAY\n")
    assert decided(draft.tcp_smtp(), "10.1.1.1") == RELAY
    assert decided(draft.tcp_smtp(), "10.2.1.1") == DENY
    assert [each.line for each in draft.remarks] == [2, 4]


@given(st.text(max_size=60))
def test_whatever_a_map_holds_the_rules_compile(text: str) -> None:
    draft = Draft()
    sendmail.convert(text.encode("utf-8", "surrogatepass").split(b"\n"), "access", draft)
    assert list(rules.records(draft.tcp_smtp()))
