"""What tcpserver tells a standing worker about a connection, and what it hears back. Pure: messages as bytes.

A task goes with the connection's descriptor: the client's address and port, then either "?" (the rules are still to be
asked, with names) or "+" and the variables that they set, all ended by NULs, which none of these can contain.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.rules import Decision
from svtree.tcp.connection import Peer

# A task must fit into one message; what does not is served by a forked child, which needs none.
LONGEST = 32768


@record
class Task:
    """A connection's client and what the rules have said to its address; None where they want names."""

    peer: Peer
    decision: Decision | None

    def pack(self) -> bytes:
        """As a message."""
        parts = [self.peer.ip, b"%d" % self.peer.port, b"?"]
        if self.decision is not None:
            parts[2] = b"+"
            for pair in self.decision.environ:
                parts += pair
        return b"\0".join(parts)

    @classmethod
    def parse(cls, message: bytes) -> Task:
        """From what `pack` has made."""
        ip, port, told, *words = message.split(b"\0")
        pairs = tuple(zip(words[::2], words[1::2], strict=True))
        return cls(Peer(ip, int(port)), Decision(None, False, pairs) if told == b"+" else None)


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
