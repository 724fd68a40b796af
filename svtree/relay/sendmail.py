"""A Sendmail access map, as text, into rules and control files. Pure.

Follows cf/README ("Anti-spam configuration control") and proto.m4. A client is looked for by its name, then the name's
parent domains, and then by its address and what is left of it without its last number, one after the other; each time
first with the tag Connect:, then without a tag. RELAY lets it relay, OK, SKIP and nothing let it send to us; REJECT,
ERROR and a reply of one's own refuse it. The host itself may relay. Rules let the longest decide too, so that they say
the same. Two things differ, and are remarked: rules ask the address before the domain of the name, and a connection
that they deny is closed without a word, where Sendmail says why or, with DISCARD, takes the mail and drops it.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.networks import V6, Network
from svtree.formats.record import record
from svtree.formats.rulekeys import network_key
from svtree.relay.conversion import ALLOW, DENY, RELAY, Draft, is_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONNECT, FROM, TO, PLAIN = b"connect", b"from", b"to", b""
OTHER_TAGS = {
    b"spam": "whose mail is or is not filtered is for a filter: see QMAILQUEUE",
    b"greetpause": "no pause before the greeting",
    b"clientrate": "limits a client's connections: tcpserver has options for that",
    b"clientconn": "limits a client's connections: tcpserver has options for that",
    b"authinfo": "no authentication to other servers by map",
    b"srv_features": "TLS and AUTH are set in the service's env/",
    b"try_tls": "TLS is set in the service's env/",
    b"tls_srv": "TLS is set in the service's env/",
    b"tls_clt": "TLS is set in the service's env/",
    b"tls_rcpt": "TLS is set in the service's env/",
}
IPV6 = b"ipv6:"
# The host itself relays, whatever the map does not say of it.
OURSELVES = (b"127.0.0.1", b"::1")


def convert(lines: Iterable[bytes], source: str, draft: Draft) -> None:
    """Put what an access map says into the draft."""
    reading = _Reading(source, draft)
    # A tag beats none, wherever in the map the two stand: lines without one come second.
    second: list[_Line] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[:1] == b"#":
            continue
        parts = text.split(None, 1)
        if len(parts) < 2:
            draft.remark(source, number, text, "a key without a value")
            continue
        tag, key = _tagged(parts[0])
        found = _Line(number, text, tag, key, parts[1])
        if tag == PLAIN:
            second.append(found)
        else:
            reading.take(found)
    for each in second:
        reading.take(each)
    _ourselves(draft)
    if reading.names:
        reason = (
            "names a host or domain: tcpserver has to look up names (without -H), and an address or network that has"
            " a rule is asked before a domain"
        )
        draft.remark(source, reading.names[0], b"%d lines" % len(reading.names), reason)


def _tagged(key: bytes) -> tuple[bytes, bytes]:
    tag, colon, rest = key.partition(b":")
    small = tag.lower()
    if colon and (small in (CONNECT, FROM, TO) or small in OTHER_TAGS):
        return small, rest
    return PLAIN, key


@record
class _Line:
    """A line of the map."""

    number: int
    text: bytes
    tag: bytes
    key: bytes
    value: bytes


class _Reading:
    """Takes the lines of one map; `names` are the numbers of those whose key is a client's name."""

    def __init__(self, source: str, draft: Draft) -> None:
        self._source = source
        self._draft = draft
        self.names: list[int] = []

    def take(self, line: _Line) -> None:
        """Put one line into the draft."""
        draft = self._draft

        def remark(reason: str) -> None:
            draft.remark(self._source, line.number, line.text, reason)

        verdict = _verdict(line.value)
        if line.tag in OTHER_TAGS:
            remark(OTHER_TAGS[line.tag])
        elif verdict is None:
            remark("a value that is not known here")
        elif line.tag == FROM or (line.tag == PLAIN and b"@" in line.key):
            _sender(line.key, verdict, draft, remark)
        elif line.tag == TO:
            _recipient(line.key, verdict, draft, remark)
        else:
            self._client(line, verdict, remark)

    def _client(self, line: _Line, verdict: bytes, remark: Callable[[str], None]) -> None:
        draft = self._draft
        addresses = _addresses(line.key, remark)
        if not addresses:
            return
        if addresses[0][:1] == b"=":
            self.names.append(line.number)
            if line.tag == PLAIN:
                _domain(line.key, verdict, draft)
        # Each is told: a host may have been decided by a line with a tag, and what is below it not.
        new = [draft.rule(address, verdict) for address in addresses]
        if any(new):
            _say_what_differs(line.value, remark)
        else:
            remark("has been decided otherwise by an earlier line, or by one with Connect:")


def _verdict(value: bytes) -> bytes | None:
    """What a value does to a client; None where it is none of Sendmail's."""
    word = value.strip().strip(b'"').partition(b":")[0].split(None, 1)[:1]
    name = word[0].upper() if word else b""
    if name == b"RELAY":
        return RELAY
    if name in (b"OK", b"SKIP"):
        return ALLOW
    if name in (b"REJECT", b"DISCARD", b"ERROR") or (len(name) == 3 and name.isdigit() and name[:1] in b"45"):
        return DENY
    return None


def _say_what_differs(value: bytes, remark: Callable[[str], None]) -> None:
    word = value.strip().strip(b'"').upper()
    if word.startswith(b"DISCARD"):
        remark("carried as deny: here mail is refused, not taken and dropped")
    elif word.startswith(b"ERROR") or word[:3].isdigit():
        remark("carried as deny: the connection is closed without this text")


def _addresses(key: bytes, remark: Callable[[str], None]) -> list[bytes]:
    """The addresses of rules for a client's key: of a network, of a host and what is below it."""
    bare = key[1:-1] if key[:1] == b"[" and key[-1:] == b"]" else key
    if bare[: len(IPV6)].lower() == IPV6:
        network = _ipv6(bare[len(IPV6) :])
        if network is None:
            remark("no IPv6 address")
        return [] if network is None else [network_key(network)]
    if not bare.strip(b"0123456789./"):
        return _ipv4(bare, remark)
    name = key.lower().removeprefix(b".")
    if not is_host(name):
        remark("neither an address nor a host")
        return []
    return [b"=." + name] if key[:1] == b"." else [b"=" + name, b"=." + name]


def _ipv4(key: bytes, remark: Callable[[str], None]) -> list[bytes]:
    if b"/" in key:
        found = networks.parse_network(key)
        if found is None or found[1]:
            remark("no network: bits are set beyond its length" if found else "no network")
            return []
        remark("carried; Sendmail itself takes a network with a length only through cidrexpand")
        # What tells of every client has no address.
        return [network_key(found[0]) if found[0].length else b""]
    octets = key.removesuffix(b".").split(b".")
    if len(octets) > 4 or any(octet not in networks.OCTETS for octet in octets):
        remark("no IPv4 address")
        return []
    return [b".".join(octets) + (b"." if len(octets) < 4 else b"")]


def _ipv6(text: bytes) -> Network | None:
    """An address, or the network of the groups that there are: Sendmail takes off one after the other."""
    number = networks.parse_v6(text)
    if number is not None:
        return Network(V6, number, V6)
    groups = text.removesuffix(b":").split(b":")
    number = networks.parse_v6(b":".join(groups) + b"::") if len(groups) < 8 and b"" not in groups else None
    return None if number is None else Network(V6, number, 16 * len(groups))


def _domain(key: bytes, verdict: bytes, draft: Draft) -> None:
    """A domain without a tag is a sender's and a recipient's too."""
    name = key.lower().removeprefix(b".")
    if verdict is RELAY:
        draft.relay_domain(key.lower())
    elif verdict is DENY:
        draft.control("badmailfrom", b"@" + name)


def _sender(key: bytes, verdict: bytes, draft: Draft, remark: Callable[[str], None]) -> None:
    user, at, host = key.lower().rpartition(b"@")
    if verdict is RELAY:
        remark("who says to be a sender does not relay here: anybody can say so")
    elif verdict is ALLOW:
        remark("no sender is excepted from a rule here")
    elif at and not host:
        remark("a user at any host cannot be refused by badmailfrom")
    elif not is_host(host):
        remark("neither an address nor a domain")
    else:
        draft.control("badmailfrom", user + b"@" + host)
        if not at:
            remark("carried as badmailfrom, which knows this domain only, not those below it")


def _recipient(key: bytes, verdict: bytes, draft: Draft, remark: Callable[[str], None]) -> None:
    name = key.lower().removeprefix(b".")
    if b"@" in key or not is_host(name):
        remark("a single recipient is not let in or refused by rules; a .qmail file can bounce what is for one")
    elif verdict is RELAY:
        draft.relay_domain(key.lower())
    elif verdict is DENY:
        remark("a domain that is not in rcpthosts is refused anyway")
    else:
        remark("says nothing here")


def _ourselves(draft: Draft) -> None:
    """127.0.0.1 and ::1 may relay, unless the map denies them."""
    for address in OURSELVES:
        if b":" in address:
            covering = [b"::1", *(network_key(Network(V6, 0, length)) for length in range(112, 0, -16))]
        else:
            covering = [address, b"127.0.0.", b"127.0.", b"127."]
        told = next((draft.rules[each] for each in covering if each in draft.rules), ALLOW)
        if told is ALLOW:
            draft.rules[address] = RELAY
