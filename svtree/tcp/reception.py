"""What happens to a connection between accept and its handler: options, banner, names, rules, log lines.

The order is that of tcpserver.c of ucspi-tcp 0.88. It runs in the process of the connection, except where nothing in
it can take time; then tcpserver does it itself and spares a process.
"""

from __future__ import annotations

import socket

from svtree.system.errors import reason
from svtree.system.resolver import Resolver
from svtree.tcp import identity
from svtree.tcp.access import Access, AccessError
from svtree.tcp.connection import Known, arrival, environment, verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.rules import Decision
    from svtree.program import Environ
    from svtree.tcp.connection import Peer
    from svtree.tcp.journal import Journal
    from svtree.tcp.settings import Settings

# A fresh connection takes this much without waiting, whatever its buffers (net.ipv4.tcp_wmem begins at 4096).
SMALL = 4096


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
        self._access = Access(
            settings.rules,
            may_be_missing=settings.rules_may_be_missing,
            host_known=settings.remote_host,
            info_known=settings.remote_info,
        )
        # Whether finding out about a connection may take time.
        self.asks_around = settings.local_host is None or settings.remote_host or settings.remote_info

    def decide(self, peer: Peer) -> Decision | None:
        """What the rules say to the address alone; None where that is for the connection's process. Dropped: they fail.

        A banner that may have to wait for the client is sent by that process too, and before the rules are asked.
        """
        if len(self._settings.banner) > SMALL:
            return None
        try:
            return self._access.by_address(peer.ip)
        except AccessError as error:
            raise Dropped(error.reason) from error

    def admit(self, client: socket.socket, peer: Peer, decision: Decision | None, pid: int) -> Environ:
        """All of it, for the process `pid` of a connection: the handler's environment, or Denied or Dropped."""
        self._journal.tell(arrival(pid, peer))
        self.greet(client)
        known = self.inquire(client, peer)
        if decision is None:
            try:
                decision = self._access.by_names(peer.ip, known.remote_host, known.remote_info)
            except AccessError as error:
                raise Dropped(error.reason) from error
        if self._journal.verbose:
            self._journal.tell(verdict(b"deny" if decision.deny else b"ok", pid, known))
        if decision.deny:
            raise Denied
        return environment(self._environ, known, decision.environ)

    def environment(self, known: Known, decision: Decision) -> Environ:
        """The environment of a handler whose connection tcpserver itself has made ready."""
        return environment(self._environ, known, decision.environ)

    def greet(self, client: socket.socket) -> None:
        """Set the connection's options and send the banner."""
        settings = self._settings
        if settings.drop_ip_options:
            _quietly(client, socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
        if not settings.delay:
            _quietly(client, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.banner:
            try:
                client.sendall(settings.banner)
            except OSError as error:
                raise Dropped(b"unable to print banner: " + reason(error).encode()) from error

    def inquire(self, client: socket.socket, peer: Peer) -> Known:
        """What there is to know about the connection; asks name and ident servers where settings want that."""
        settings = self._settings
        local_ip, port = _local_address(client)
        local_host = settings.local_host
        if local_host is None:
            local_host = identity.host_name(self._resolver, local_ip) or None
        remote_host = self._remote_host(peer) if settings.remote_host else None
        remote_info = None
        if settings.remote_info:
            remote_info = identity.user(peer, local_ip, port, settings.timeout)
        return Known(local_ip, port, local_host, peer, remote_host, remote_info)

    def presume(self, client: socket.socket, peer: Peer) -> Known:
        """What is known about the connection without asking anybody: for one that is closed at once."""
        return Known(*_local_address(client), self._settings.local_host, peer)

    def _remote_host(self, peer: Peer) -> bytes | None:
        name = identity.host_name(self._resolver, peer.ip)
        if not name:
            return None
        if self._settings.paranoid and not identity.confirmed(self._resolver, name, peer.ip):
            return None
        return name


def _local_address(client: socket.socket) -> tuple[bytes, int]:
    try:
        ip, port = client.getsockname()
    except OSError as error:
        raise Dropped(b"unable to get local address: " + reason(error).encode()) from error
    return ip.encode(), port


def _quietly(client: socket.socket, level: int, option: int, value: int | bytes) -> None:
    """A connection whose option cannot be set is served all the same, as the original does."""
    try:
        client.setsockopt(level, option, value)
    except OSError:
        return
