"""What tcpserver tells a standing worker about a connection, and what it hears back. Pure: messages as bytes.

A task goes with the connection's descriptor: the client's address, port, interface, credentials and proxy, how many
others are connected from there, and the variables that the rules set; None instead of these: they are to be asked.
"""

from __future__ import annotations

import marshal

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
        """As a message. Both ends are forked from one program, and nobody else can write to its socket."""
        peer, crowd, decision, proxy = self.peer, self.crowd, self.decision, self.peer.proxy
        by = None if proxy is None else (proxy.ip, proxy.local_ip, proxy.local_port)
        told = None if decision is None else decision.environ
        return marshal.dumps((peer.ip, peer.port, peer.interface, peer.credentials, by, crowd.ip, crowd.net, told))

    @classmethod
    def parse(cls, message: bytes) -> Task:
        """From what `pack` has made."""
        ip, port, interface, credentials, by, near, net, told = marshal.loads(message)  # noqa: S302 - from our parent
        decision = None if told is None else Decision(None, False, told)
        proxy = None if by is None else Proxy(*by)
        return cls(Peer(ip, port, interface, credentials, proxy), decision, Crowd(near, net))


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
