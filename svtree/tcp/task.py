"""What tcpserver tells a standing worker about a connection, and what it hears back. Pure: messages as bytes.

A task goes with the connection's descriptor: the client's address, port, interface, credentials and proxy, and how
many others are connected from there; then either "?" (the rules are still to be asked, with names) or "+" and the
variables that they set, all ended by NULs, which none of these can contain.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.rules import Decision
from svtree.tcp.connection import Peer, Proxy
from svtree.tcp.limits import NOBODY, Crowd

# A task must fit into one message; what does not is served by a forked child, which needs none.
LONGEST = 32768


@record
class Task:
    """A connection's client and what the rules have said to its address; None where they want names."""

    peer: Peer
    decision: Decision | None
    crowd: Crowd = NOBODY

    def pack(self) -> bytes:
        """As a message."""
        peer, crowd = self.peer, self.crowd
        credentials = b"" if peer.credentials is None else b"%d %d %d" % peer.credentials
        proxy = b"" if peer.proxy is None else b"%b %b %d" % (peer.proxy.ip, peer.proxy.local_ip, peer.proxy.local_port)
        client = b"%b\0%d\0%b\0%b\0%b" % (peer.ip, peer.port, peer.interface, credentials, proxy)
        head = client + b"\0%d\0%d\0" % (crowd.ip, crowd.net)
        if self.decision is None:
            return head + b"?"
        return head + b"\0".join([b"+", *(word for pair in self.decision.environ for word in pair)])

    @classmethod
    def parse(cls, message: bytes) -> Task:
        """From what `pack` has made."""
        ip, port, interface, who, by, beside, near, told, *words = message.split(b"\0")
        credentials = None
        if who:
            process, user, group = who.split(b" ")
            credentials = int(process), int(user), int(group)
        proxy = None
        if by:
            whom, local_ip, local_port = by.split(b" ")
            proxy = Proxy(whom, local_ip, int(local_port))
        pairs = tuple(zip(words[::2], words[1::2], strict=True))
        decision = Decision(None, False, pairs) if told == b"+" else None
        return cls(Peer(ip, int(port), interface, credentials, proxy), decision, Crowd(int(beside), int(near)))


@record
class Report:
    """A session is over: its exit code, and whether the worker ends now too."""

    code: int
    leaving: bool

    def pack(self) -> bytes:
        """As a message."""
        return b"%d %d" % (self.code, self.leaving)

    @classmethod
    def parse(cls, message: bytes) -> Report:
        """From what `pack` has made."""
        code, leaving = message.split(b" ")
        return cls(int(code), leaving == b"1")
