"""control/smtproutes: where mail for a host goes instead of to its mail exchangers.

Follows qmail-remote(8): lines DOMAIN:RELAY or DOMAIN:RELAY:PORT. DOMAIN is a host, `.suffix` for every host below it,
or empty for all; an empty RELAY says that the DNS decides after all. Of two lines for the same the last counts.
"""

from __future__ import annotations

from svtree.formats import control
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SMTP = 25


@record
class Route:
    """The relay, a host name or an IP address in brackets, and its port."""

    relay: bytes
    port: int = SMTP


def parse(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    """The routes by what is before the first colon, in small letters; a line without a colon is none."""
    pairs = (line.partition(b":") for line in lines)
    return {domain.lower(): relay for domain, colon, relay in pairs if colon}


def find(routes: Mapping[bytes, bytes], host: bytes) -> Route | None:
    """The route of `host`: its own, else that of its longest suffix, else the one for all; None where the DNS decides.

    A port without a digit is the usual one.
    """
    small = host.lower()
    for at in range(len(small) + 1):
        if at in (0, len(small)) or small[at] == 46:
            value = routes.get(small[at:])
            if value is not None:
                # An IPv6 address has colons of its own.
                end = value.find(b"]") + 1 if value[:1] == b"[" else 0
                relay, _, port = value[end:].partition(b":")
                relay = value[:end] + relay
                told = control.number(port)
                return Route(relay, SMTP if told is None else told) if value else None
    return None
