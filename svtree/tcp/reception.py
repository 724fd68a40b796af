"""What happens to a connection between accept and its handler: options, banner, names, rules, limits, log lines.

The order is that of tcpserver.c of ucspi-tcp 0.88. It runs in the process of the connection, except where nothing in
it can take time; then tcpserver does it itself and spares a process. Beyond the original: a proxy's header has come
before, limits are looked at after the rules, and TLS and the wait before the greeting, if any, come after everything
else but the banner.
"""

from __future__ import annotations

import os
import socket

from svtree.formats import networks, rules
from svtree.system.errors import reason
from svtree.system.resolver import Resolver
from svtree.tcp import connection, foreword, identity
from svtree.tcp.access import Access, AccessError
from svtree.tcp.connection import Known, Peer, arrival, environment, verdict
from svtree.tcp.ends import local_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.rules import Decision
    from svtree.program import Environ
    from svtree.tcp.foreword import Line
    from svtree.tcp.journal import Journal
    from svtree.tcp.limits import Bounds, Crowd
    from svtree.tcp.settings import Settings

# A fresh connection takes this much without waiting, whatever its buffers (net.ipv4.tcp_wmem begins at 4096).
SMALL = 4096
# What a rule may say of the wait before the greeting: seconds.
DELAY = b"GREETDELAY"


class Denied(Exception):  # noqa: N818 - not an error: the rules said so
    """The rules say no, and it has been logged."""


class Dropped(Exception):  # noqa: N818 - as above
    """The connection cannot be served: `reason` for the log."""

    def __init__(self, reason: bytes) -> None:
        """As it stands after "dropping connection, "."""
        super().__init__(reason)
        self.reason = reason


class Reception:
    """Makes a connection ready for its handler, in whichever process."""

    def __init__(self, settings: Settings, environ: Environ, journal: Journal) -> None:
        """`environ` is what handlers get, before what is added for each connection."""
        self._settings = settings
        self._environ = environ
        self._journal = journal
        self._resolver = Resolver(environ)
        self._access = access = Access(
            settings.rules,
            may_be_missing=settings.rules_may_be_missing,
            host_known=settings.remote_host,
            info_known=settings.remote_info,
        )
        # Of whom it is known that he is denied; None where that is said or logged, or the client may be a proxy.
        wordless = not (journal.verbose or settings.banner or settings.proxies or settings.unix is not None)
        self.known_denied = access.known_denied if wordless else None
        # Whether finding out about a connection may take time.
        self.asks_around = settings.unix is None and (
            settings.local_host is None or settings.remote_host or settings.remote_info
        )
        self._late_banner = settings.tls is not None or settings.greet_delay > 0
        # A late banner is sent by who has waited, even where a rule says that nobody need wait.
        late = self._late_banner and bool(settings.banner)
        self._takes_time = self.asks_around or settings.tls is not None or late

    def takes_time(self, decision: Decision | None) -> bool:
        """Whether there is something to wait for, so that a connection needs a process of ours before its handler."""
        return self._takes_time or decision is None or self._delay(decision.environ) > 0

    def proxied(self, peer: Peer) -> bool:
        """Whether a client is one of our proxies: it tells for whom it comes, and is no client itself."""
        if not self._settings.proxies:
            return False
        found = networks.parse(peer.ip)
        return found is not None and any(
            found[0] == proxy.bits and networks.mask(proxy.bits, found[1], proxy.length) == proxy.number
            for proxy in self._settings.proxies
        )

    def decide(self, peer: Peer) -> Decision | None:
        """What the rules say to the address alone; None where that is for the connection's process. Dropped: they fail.

        A banner that may have to wait for the client is sent by that process too, and before the rules are asked.
        """
        if len(self._settings.banner) > SMALL:
            return None
        if peer.credentials is not None:
            return rules.DEFAULT
        try:
            return self._access.by_address(peer.ip)
        except AccessError as error:
            raise Dropped(error.reason) from error

    def admit(self, client: socket.socket, peer: Peer, decision: Decision | None, crowd: Crowd, pid: int) -> Environ:
        """All of it, for the process `pid` of a connection: the handler's environment, or Denied or Dropped.

        Of TLS and of what comes after it there is nothing yet: that is for the caller, and then for `welcome`.
        """
        if self._journal.verbose:
            self._journal.tell(arrival(pid, peer))
        self.greet(client)
        known = self.inquire(client, peer)
        if decision is None:
            decision, why = self._late(known, crowd)
            if why:
                self._journal.tell(verdict(b"deny", pid, known, why))
                foreword.Plain(client).turn_away(self.bounds(decision).message or b"")
                raise Denied
        if self._journal.verbose:
            self._journal.tell(verdict(b"deny" if decision.deny else b"ok", pid, known))
        if decision.deny:
            raise Denied
        environ = environment(self._environ, known, decision.environ)
        if self._settings.tls is None and (self._late_banner or DELAY in environ):
            self.welcome(foreword.Plain(client), known.peer, environ)
        return environ

    def _late(self, known: Known, crowd: Crowd) -> tuple[Decision, bytes | None]:
        """What the rules say with names, and the limit, if any, that says no."""
        try:
            decision = self._access.by_names(known.peer.ip, known.remote_host, known.remote_info)
        except AccessError as error:
            raise Dropped(error.reason) from error
        if decision.deny:
            return decision, None
        bounds = self.bounds(decision)
        return decision, bounds.exceeded(crowd, 0.0 if bounds.load is None else os.getloadavg()[0])

    def spare(self) -> None:
        """Give up the memory that can be done without."""
        self._access.forget()

    def bounds(self, decision: Decision) -> Bounds:
        """The limits for a client about whom the rules have decided this."""
        return self._settings.bounds.told(decision.environ) if decision.environ else self._settings.bounds

    def welcome(self, line: Line, peer: Peer, environ: Environ) -> None:
        """The wait before the greeting, and a banner that comes after it; Denied for who speaks meanwhile."""
        seconds = self._delay(((DELAY, environ[DELAY]),) if DELAY in environ else ())
        if seconds > 0:
            said = foreword.too_early(line, seconds)
            if said is not None:
                if not said:
                    raise Dropped(b"the client left before it was greeted")
                self._journal.tell(connection.talker(os.getpid(), peer, said))
                line.turn_away(self._settings.greet_message)
                raise Denied
        if self._late_banner:
            self._send_banner(line)

    def _delay(self, variables: tuple[tuple[bytes, bytes], ...]) -> float:
        for name, value in reversed(variables):
            if name == DELAY:
                return float(value[:9]) if value.replace(b".", b"", 1).isdigit() else 0
        return self._settings.greet_delay

    def environment(self, known: Known, decision: Decision) -> Environ:
        """The environment of a handler whose connection tcpserver itself has made ready."""
        return environment(self._environ, known, decision.environ)

    def greet(self, client: socket.socket) -> None:
        """Set the connection's options and send a banner that waits for nothing."""
        settings = self._settings
        if settings.drop_ip_options:
            _quietly(client, socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
        if not settings.delay:
            _quietly(client, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.banner and not self._late_banner:
            self._send_banner(foreword.Plain(client))

    def _send_banner(self, line: Line) -> None:
        if not self._settings.banner:
            return
        try:
            line.say(self._settings.banner)
        except OSError as error:
            raise Dropped(b"unable to print banner: " + reason(error).encode()) from error

    def inquire(self, client: socket.socket, peer: Peer) -> Known:
        """What there is to know about the connection; asks name and ident servers where settings want that."""
        settings = self._settings
        local_ip, port = _local_address(client, peer)
        if peer.credentials is not None:
            return Known(local_ip, port, settings.local_host, peer)
        local_host = self._local_host(local_ip)
        remote_host = self._remote_host(peer) if settings.remote_host else None
        remote_info = None
        # A client's ident server knows nothing of a proxy's connection to us.
        if settings.remote_info and peer.proxy is None:
            remote_info = identity.user(peer, local_ip, port, settings.timeout)
        return Known(local_ip, port, local_host, peer, remote_host, remote_info)

    def presume(self, client: socket.socket, peer: Peer) -> Known:
        """What is known about the connection without asking anybody: for one that is closed at once."""
        return Known(*_local_address(client, peer), self._settings.local_host, peer)

    def _local_host(self, ip: bytes) -> bytes | None:
        if self._settings.local_host is not None:
            return self._settings.local_host
        return identity.host_name(self._resolver, ip) or None

    def _remote_host(self, peer: Peer) -> bytes | None:
        name = identity.host_name(self._resolver, peer.ip)
        if not name:
            return None
        if self._settings.paranoid and not identity.confirmed(self._resolver, name, peer.ip):
            return None
        return name


def _local_address(client: socket.socket, peer: Peer) -> tuple[bytes, int]:
    """Our end; of a client that has come by a proxy, the proxy's."""
    if peer.proxy is not None:
        return peer.proxy.local_ip, peer.proxy.local_port
    try:
        return local_end(client)
    except OSError as error:
        raise Dropped(b"unable to get local address: " + reason(error).encode()) from error


def _quietly(client: socket.socket, level: int, option: int, value: int | bytes) -> None:
    """A connection whose option cannot be set is served all the same, as the original does."""
    try:
        client.setsockopt(level, option, value)
    except OSError:
        return
