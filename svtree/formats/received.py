"""The Received line that a network server puts before a message.

    Received: from relay.example (HELO mail.example) (joe@192.0.2.1)
      by host.example with SMTP; 23 Nov 2026 22:58:49 -0000

Follows qmail's received.c: what the client or the DNS said is reduced to bytes that cannot be mistaken for the
header's own, each other byte shown as "?".
"""

from __future__ import annotations

from svtree.formats.dates import header
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SAFE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.@%+/=:-[]"
_SHOWN = bytes(each if each in _SAFE else 63 for each in range(256))


@record
class Peer:
    """Both ends of a connection, in the words of tcp-environ(5); `info` is None where nobody asked for it."""

    local: bytes
    ip: bytes
    host: bytes
    info: bytes | None

    @classmethod
    def told(cls, environ: Mapping[bytes, bytes]) -> Peer:
        """As the environment says it."""
        return cls(
            local=environ.get(b"TCPLOCALHOST", environ.get(b"TCPLOCALIP", b"unknown")),
            ip=environ.get(b"TCPREMOTEIP", b"unknown"),
            host=environ.get(b"TCPREMOTEHOST", b"unknown"),
            info=environ.get(b"TCPREMOTEINFO"),
        )


def safe(text: bytes) -> bytes:
    """`text` with each byte that does not belong into a host name or address shown as "?"."""
    return text.translate(_SHOWN)


def received(peer: Peer, protocol: bytes, helo: bytes | None, seconds: int) -> bytes:
    """The line, ended by LF. `helo` is the name the client gave itself if that is not `peer.host`, else None."""
    parts = [b"Received: from ", safe(peer.host)]
    if helo is not None:
        parts += [b" (HELO ", safe(helo), b")"]
    parts.append(b" (")
    if peer.info is not None:
        parts += [safe(peer.info), b"@"]
    parts += [safe(peer.ip), b")\n  by ", safe(peer.local), b" with ", protocol, b"; ", header(seconds), b"\n"]
    return b"".join(parts)
