"""Asking the DNS: host names of addresses and addresses of host names, over UDP, and TCP where an answer is cut short.

Follows the DNS library of ucspi-tcp 0.88: servers from $DNSCACHEIP or the `nameserver` lines of /etc/resolv.conf (this
host where neither says), each asked with 3, 11 and 45 seconds of patience in turn; a host name is qualified by
$DNSREWRITEFILE or /etc/dnsrewrite, $LOCALDOMAIN, the `search` or `domain` line, or this host's own domain. Beyond it,
servers may have IPv6 addresses; in $DNSCACHEIP blanks or commas stand between addresses then. Other
sources of names (/etc/hosts) are not asked, but "localhost" is always this host (RFC 6761).

It blocks, and so belongs in the process of one connection. Not dnspython: that costs 60 ms to import and 15 MB to have
in memory, which every connection's fork would pay.
"""

from __future__ import annotations

import errno
import os
import socket
import time

from svtree.formats import dns, networks
from svtree.system import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PORT = 53
PATIENCE = (3.0, 11.0, 45.0)
TCP_PATIENCE = 10.0
CONFIGURATION = b"/etc/resolv.conf"
REWRITING = b"/etc/dnsrewrite"
SERVERS = 16
# More than a resolv.conf or a rewriting file of any use.
LIMIT = 1 << 20
DATAGRAM = 4096


class Resolver:
    """Finds names and addresses; every method may block for as long as the servers' patience adds up to."""

    def __init__(
        self,
        environ: Mapping[bytes, bytes],
        *,
        port: int = PORT,
        patience: Sequence[float] = PATIENCE,
        configuration: bytes = CONFIGURATION,
    ) -> None:
        """`environ` is where $DNSCACHEIP and the like are looked up."""
        self._environ = environ
        self._port = port
        self._patience = patience
        self._configuration = configuration

    def addresses(self, name: bytes) -> list[bytes]:
        """The IPv4 addresses of a host name, which is qualified first; OSError where no server answers."""
        for full in dns.qualify(name, self._rules()):
            ip = b"127.0.0.1" if full.lower() in (b"localhost", b"localhost.") else dns.literal(full)
            if ip is not None:
                return [ip] if ip else []
            found = self.exactly(full)
            if found:
                return found
        return []

    def addresses6(self, name: bytes) -> list[bytes]:
        """The IPv6 addresses of a host name, as `addresses`."""
        for full in dns.qualify(name, self._rules()):
            if full.lower() in (b"localhost", b"localhost."):
                return [b"::1"]
            found = self.exactly(full, dns.AAAA)
            if found:
                return found
        return []

    def exactly(self, name: bytes, kind: int = dns.A) -> list[bytes]:
        """The addresses of a full host name, of IPv4 or, with dns.AAAA, of IPv6, as `addresses`."""
        try:
            answer = self._ask(dns.encode(name), kind)
        except dns.DnsError as error:
            raise OSError(errno.EPROTO, str(error)) from error
        found = dns.addresses(answer) if kind == dns.A else dns.addresses6(answer)
        # Any one of them first, so that load is spread.
        first = _number() % len(found) if found else 0
        return found[first:] + found[:first]

    def name(self, ip: bytes) -> bytes | None:
        """The host name of an address of either kind, None if it has none; OSError where no server answers."""
        try:
            return dns.pointer(self._ask(dns.encode(dns.reverse(ip)), dns.PTR))
        except dns.DnsError as error:
            raise OSError(errno.EPROTO, str(error)) from error

    def text(self, name: bytes) -> bytes:
        """The TXT records of a full name, put together; b"" if there are none; OSError where no server answers."""
        try:
            return dns.text(self._ask(dns.encode(name), dns.TXT))
        except dns.DnsError as error:
            raise OSError(errno.EPROTO, str(error)) from error

    def servers(self) -> list[bytes]:
        """The addresses of the servers to ask."""
        told = self._environ.get(b"DNSCACHEIP", b"")
        words = told.replace(b",", b" ").split() if b":" in told else [told]
        found = [server for word in words for server in _told(word)]
        if not found:
            for line in self._lines(self._configuration):
                words = line.split()
                if len(words) > 1 and words[0] == b"nameserver" and line[:1] == b"n":
                    found += _told(words[1])[:1]
        return found[:SERVERS] or [b"127.0.0.1"]

    def _rules(self) -> list[bytes]:
        """The rewriting rules for host names."""
        rewriting = self._environ.get(b"DNSREWRITEFILE", REWRITING)
        lines = self._lines(rewriting)
        if lines:
            return [line.rstrip(b" \t\r") for line in lines]
        domains: list[bytes] | None = None
        if b"LOCALDOMAIN" in self._environ:
            domains = self._environ[b"LOCALDOMAIN"].split(b" ")
        else:
            for line in self._lines(self._configuration):
                if line[:7] in (b"search ", b"search\t", b"domain ", b"domain\t"):
                    domains = line[7:].split()
                    break
        if domains is not None:
            return [b"?:" + b"".join(b"+." + domain for domain in domains), b"*.:"]
        _, dot, domain = os.fsencode(socket.gethostname()).partition(b".")
        return [b"?:." + domain, b"*.:"] if dot else [b"*.:"]

    @staticmethod
    def _lines(path: bytes) -> list[bytes]:
        try:
            return atomic.read(path, LIMIT).splitlines()
        except FileNotFoundError:
            return []

    def _ask(self, name: bytes, kind: int) -> dns.Answer:
        """The first answer from any server; OSError with the last server's reason where there is none."""
        servers = self.servers()
        last = OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        for patience in self._patience:
            for server in servers:
                try:
                    answer = self._by_udp(server, name, kind, patience)
                    if answer.truncated:
                        answer = self._by_tcp(server, name, kind)
                except OSError as error:
                    last = error
                    continue
                if answer.code in (0, dns.NO_SUCH_NAME):
                    return answer
                last = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        raise last

    def _by_udp(self, server: bytes, name: bytes, kind: int, patience: float) -> dns.Answer:
        # A socket and an id for each question: an answer forged from outside has to guess both.
        number = _number()
        family, end = _end(server, self._port)
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect(end)
            asking.send(dns.question(number, name, kind))
            deadline = time.monotonic() + patience
            while True:
                answer = self._understood(_received(asking, deadline), number, name, kind)
                if answer is not None:
                    return answer

    def _by_tcp(self, server: bytes, name: bytes, kind: int) -> dns.Answer:
        number = _number()
        query = dns.question(number, name, kind)
        family, end = _end(server, self._port)
        with socket.socket(family, socket.SOCK_STREAM) as asking:
            deadline = time.monotonic() + TCP_PATIENCE
            asking.settimeout(TCP_PATIENCE)
            asking.connect(end)
            asking.sendall(len(query).to_bytes(2, "big") + query)
            size = int.from_bytes(_exactly(asking, 2, deadline), "big")
            answer = self._understood(_exactly(asking, size, deadline), number, name, kind)
        if answer is None or answer.truncated:
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        return answer

    @staticmethod
    def _understood(message: bytes, number: int, name: bytes, kind: int) -> dns.Answer | None:
        try:
            return dns.parse(message, number, name, kind)
        except dns.DnsError:
            # Not from the server, or of no use: what is asked for may still come.
            return None


def _number() -> int:
    """A number from 0 to 65535 that nobody can guess. Not by `random`: that seeds itself anew in every forked child."""
    return int.from_bytes(os.urandom(2), "big")


def _received(asking: socket.socket, deadline: float, most: int = DATAGRAM) -> bytes:
    """The next bytes, at most so many, before a moment of the monotonic clock; TimeoutError after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    asking.settimeout(left)
    try:
        return asking.recv(most)
    except TimeoutError:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None


def _exactly(asking: socket.socket, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        more = _received(asking, deadline, size - len(data))
        if not more:
            raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
        data += more
    return data


def _told(word: bytes) -> list[bytes]:
    """The servers in a word: an IPv6 address, with its interface if it needs one, or IPv4 addresses."""
    if b":" not in word:
        return _quads(word)
    return [word] if word.isascii() and networks.parse_v6(word.partition(b"%")[0]) is not None else []


def _end(server: bytes, port: int) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    """Family and address of a server's port; OSError where it is on an interface that is not there."""
    ip, percent, interface = server.decode().partition("%")
    if ":" not in ip:
        return socket.AF_INET, (ip, port)
    number = int(interface) if interface.isdigit() else socket.if_nametoindex(interface) if percent else 0
    return socket.AF_INET6, (ip, port, 0, number)


def _quads(text: bytes) -> list[bytes]:
    """The IPv4 addresses that stand at the beginning of a text, one after another, dots between them allowed."""
    found: list[bytes] = []
    numbers: list[int] = []
    for part in text.split(b"."):
        digits = part[: len(part) - len(part.lstrip(b"0123456789"))]
        if not digits:
            break
        numbers.append(int(digits[-40:]))
        if len(numbers) == 4:
            if max(numbers) > 255:
                break
            found.append(b"%d.%d.%d.%d" % tuple(numbers))
            numbers = []
        if digits != part:
            break
    return found
