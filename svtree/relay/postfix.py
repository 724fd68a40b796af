"""A Postfix main.cf, as text, into rules and control files. Pure.

Follows postconf(5). Of mynetworks the first pattern that matches decides, and one with "!" takes out; of rules the
longest network does. Networks are disjoint or one in the other, so it is enough to leave out each that lies within an
earlier one: it decides about nobody.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.networks import Network
from svtree.formats.rulekeys import network_key
from svtree.relay.conversion import ALLOW, RELAY, Draft, is_host, logical_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is the same here, or can be said in other words, is not remarked; these change where mail goes or who may send.
NOT_CARRIED = {
    b"canonical_maps": "no rewriting of addresses by table",
    b"sender_canonical_maps": "no rewriting of addresses by table",
    b"recipient_canonical_maps": "no rewriting of addresses by table",
    b"sender_dependent_relayhost_maps": "no routing by sender",
    b"transport_maps": "a table that cannot be read here: write its lines as DOMAIN:RELAY:PORT into control/smtproutes",
    b"virtual_alias_maps": "a table that cannot be read here: see virtualdomains and .qmail files in qmail-send(8)",
    b"virtual_alias_domains": "a domain of aliases: see virtualdomains in qmail-send(8)",
    b"virtual_mailbox_domains": "a domain of virtual users: see virtualdomains in qmail-send(8) and svtree user",
    b"virtual_mailbox_maps": "a table that cannot be read here: see svtree user",
    b"relocated_maps": "a table that cannot be read here: a .qmail file with bouncesaying does it",
    b"local_recipient_maps": "who has a mailbox is what svtree user and the system say",
    b"smtpd_client_restrictions": "no restriction lists: see tcp.smtp, rblsmtpd(1)",
    b"smtpd_helo_restrictions": "no restriction lists",
    b"smtpd_sender_restrictions": "no restriction lists: see control/badmailfrom",
    b"smtpd_recipient_restrictions": "no restriction lists: RELAYCLIENT sends anywhere, others to rcpthosts",
    b"smtpd_relay_restrictions": "no restriction lists: RELAYCLIENT sends anywhere, others to rcpthosts",
    b"mailbox_command": "a default for all users: see qmail-start(8)",
    b"luser_relay": "alias/.qmail-default does it",
    b"always_bcc": "no copy of everything",
    b"content_filter": "filters are called by QMAILQUEUE",
    b"smtpd_milters": "no milters: filters are called by QMAILQUEUE",
}
PORTS = {b"smtp": b"25", b"submission": b"587"}
DEPTH = 20


class Settings:
    """The parameters of a main.cf, with the lines that they stand in."""

    def __init__(self, text: bytes, source: str, draft: Draft, host: bytes) -> None:
        """What is no parameter is remarked. Of two lines for one the later counts, as in Postfix."""
        self._source = source
        self._draft = draft
        self._told: dict[bytes, tuple[int, bytes]] = {b"myhostname": (0, host)}
        for number, line in logical_lines(text, source, draft):
            name, equals, value = line.partition(b"=")
            if not equals:
                draft.remark(source, number, line, "no parameter")
            else:
                self._told[name.strip()] = number, value.strip()

    def names(self) -> Iterator[bytes]:
        """The parameters that are told, in their order."""
        yield from self._told

    def line(self, name: bytes) -> int:
        """Where a parameter is told; 0 if it is not."""
        return self._told.get(name, (0, b""))[0]

    def value(self, name: bytes, default: bytes = b"", depth: int = 0) -> bytes:
        """A parameter's value, $name and ${name} in it put in."""
        text = self._told.get(name, (0, default))[1]
        if depth > DEPTH:
            self.remark(name, "refers to itself")
            return b""
        found = []
        while (at := text.find(b"$")) >= 0:
            found.append(text[:at])
            other, text = self._reference(name, text[at + 1 :])
            found.append(self._known(other, depth + 1))
        return b"".join(found) + text

    def remark(self, name: bytes, reason: str) -> None:
        """Remark a parameter's line."""
        self._draft.remark(self._source, self.line(name), name, reason)

    def _reference(self, name: bytes, text: bytes) -> tuple[bytes, bytes]:
        opening = text[:1]
        if opening in (b"{", b"("):
            inside, closed, rest = text[1:].partition(b"}" if opening == b"{" else b")")
            if not closed or inside.strip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"):
                self.remark(name, "only $name and ${name} are understood")
                return b"", rest
            return inside, rest
        end = 0
        while end < len(text) and (text[end : end + 1].isalnum() or text[end] == 95):
            end += 1
        return text[:end], text[end:]

    def _known(self, name: bytes, depth: int) -> bytes:
        if name == b"mydomain" and name not in self._told:
            host = self.value(b"myhostname", b"", depth)
            return host.partition(b".")[2] or host
        return self.value(name, DEFAULTS.get(name, b""), depth)


DEFAULTS = {
    b"mydestination": b"$myhostname, localhost.$mydomain, localhost",
    b"myorigin": b"$myhostname",
}


def convert(text: bytes, source: str, draft: Draft, read: Callable[[bytes], bytes | None], host: bytes) -> bytes:
    """Put what a main.cf says into the draft; returns myhostname.

    `read` gives the text of a file that a list names, None where it cannot be read; `host` is myhostname where none is.
    """
    settings = Settings(text, source, draft, host)
    for name in settings.names():
        if name in NOT_CARRIED and settings.value(name):
            settings.remark(name, NOT_CARRIED[name])
    _networks(settings, draft, read)
    _domains(settings, b"mydestination", ("locals", "rcpthosts"), draft, read)
    _domains(settings, b"relay_domains", ("rcpthosts",), draft, read)
    _route(settings, draft)
    limit = settings.value(b"message_size_limit")
    if limit.isdigit():
        draft.control("databytes", limit)
    if settings.value(b"recipient_delimiter") not in (b"", b"-"):
        settings.remark(b"recipient_delimiter", "here an extension begins with a dash: users/assign can say otherwise")
    return settings.value(b"myhostname")


def _items(settings: Settings, name: bytes, read: Callable[[bytes], bytes | None]) -> Iterator[bytes]:
    """The patterns of a list, those of files that it names among them; tables are remarked."""
    for item in settings.value(name, DEFAULTS.get(name, b"")).replace(b",", b" ").split():
        bare = item.removeprefix(b"!")
        if bare[:1] == b"/":
            text = read(bare)
            if text is None or bare != item:
                settings.remark(name, f"cannot be read: {item.decode('utf-8', 'replace')}")
                continue
            for line in text.split(b"\n"):
                if line.lstrip()[:1] != b"#":
                    yield from line.replace(b",", b" ").split()
        elif bare.partition(b":")[0].isalnum() and bare.partition(b":")[2][:1] == b"/":
            settings.remark(name, f"a table that cannot be read here: {item.decode('utf-8', 'replace')}")
        else:
            yield item


def _networks(settings: Settings, draft: Draft, read: Callable[[bytes], bytes | None]) -> None:
    name = b"mynetworks"
    if not settings.line(name):
        style = settings.value(b"mynetworks_style", b"host")
        if style != b"host":
            reason = "what networks these are depends on the interfaces of the host: put the answer of postconf"
            settings.remark(b"mynetworks_style", reason + " mynetworks into main.cf")
        for address in (b"127.0.0.1", b"::1"):
            draft.rule(address, RELAY)
        return
    earlier: set[Network] = set()
    for item in _items(settings, name, read):
        text = item.removeprefix(b"!")
        shown = text.decode("utf-8", "replace")
        found = networks.parse_network(text)
        if found is None or (b"/" in text and text.count(b".") not in (0, 3)):
            settings.remark(name, f"no address or network: {shown}")
        elif found[1]:
            settings.remark(name, f"bits are set beyond the length, so Postfix takes it for an error: {shown}")
        elif any(each in earlier for each in _around(found[0])):
            settings.remark(name, f"decides about nobody, since an earlier one covers it: {item.decode()}")
        else:
            earlier.add(found[0])
            draft.rule(network_key(found[0]), ALLOW if item != text else RELAY)


def _around(network: Network) -> Iterator[Network]:
    """The network itself and all that it lies in."""
    for length in range(network.length + 1):
        yield Network(network.bits, networks.mask(network.bits, network.number, length), length)


def _domains(
    settings: Settings, name: bytes, controls: tuple[str, ...], draft: Draft, read: Callable[[bytes], bytes | None]
) -> None:
    for item in _items(settings, name, read):
        small = item.lower()
        if item[:1] == b"!":
            settings.remark(name, f"no exceptions: {item.decode('utf-8', 'replace')}")
        elif not is_host(small.removeprefix(b".")):
            settings.remark(name, f"no domain: {item.decode('utf-8', 'replace')}")
        elif name == b"relay_domains":
            # It means what is below it too, as parent_domain_matches_subdomains has it.
            draft.relay_domain(small)
        else:
            for control in controls:
                draft.control(control, small)


def _route(settings: Settings, draft: Draft) -> None:
    """relayhost: [HOST] is that host, without brackets it is where its mail goes."""
    name = b"relayhost"
    text = settings.value(name)
    if not text:
        return
    if text[:1] == b"[":
        host, _, port = text[1:].partition(b"]")
        port = port.removeprefix(b":")
    else:
        host, _, port = text.partition(b":")
        if networks.parse_v4(host) is None:
            settings.remark(name, "carried as this host itself: smtproutes asks for no mail exchangers")
    port = PORTS.get(port, port)
    if b":" in host:
        settings.remark(name, "smtproutes has no IPv6 addresses: give the relay's name")
    elif port and not port.isdigit():
        settings.remark(name, f"a port is a number here: {port.decode('utf-8', 'replace')}")
    elif not is_host(host):
        settings.remark(name, "no host")
    else:
        relay = b"[%s]" % host if networks.parse_v4(host) is not None else host
        draft.control("smtproutes", b":" + relay + (b":" + port if port else b""))
