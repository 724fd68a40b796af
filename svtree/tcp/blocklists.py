"""Whether a client's address is on a list that the DNS serves: a TXT record blocks it, an A record clears it.

Follows rblsmtpd.c of ucspi-tcp 0.88, and RFC 5782, section 2.4, for clients with IPv6 addresses, which the original
does not know. Lists are asked in the order they are given, up to the first that decides.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    class Directory(Protocol):
        """What is asked: svtree.system.resolver.Resolver. OSError where nobody can say."""

        def exactly(self, name: bytes) -> list[bytes]:
            """The A records of a name."""

        def text(self, name: bytes) -> bytes:
            """The TXT records of a name."""


UNDECIDED, ACCEPT, REJECT, BOUNCE = range(4)


@record
class Source:
    """A list, and the options that stood before it: listed means bounce (-b), unknown means listed (-c)."""

    base: bytes
    clears: bool
    bounce: bool
    closed: bool


@record
class Verdict:
    """What to do with the client, with the reason, and whether a list that failed forbids a permanent refusal."""

    decision: int
    text: bytes = b""
    only_temporary: bool = False

    @property
    def permanent(self) -> bool:
        """Whether the refusal is one."""
        return self.decision == BOUNCE and not self.only_temporary


def told(value: bytes | None) -> Verdict:
    """What $RBLSMTPD says: nothing without it, accept when it is empty, bounce when it begins with "-"."""
    if value is None:
        return Verdict(UNDECIDED)
    if not value:
        return Verdict(ACCEPT)
    return Verdict(BOUNCE, value[1:]) if value[:1] == b"-" else Verdict(REJECT, value)


def reversed_address(ip: bytes) -> bytes:
    """The beginning of the name under which lists have an address: its parts in reverse, a dot after each.

    The parts of an IPv6 address are its 32 hexadecimal digits; a zone (%eth0) is none of it. One that stands for an
    IPv4 address is that.
    """
    if b":" in ip:
        found = networks.parse(ip.partition(b"%")[0])
        if found is not None and found[0] == networks.V6:
            return networks.nibbles(found[1]) + b"."
        if found is not None:
            ip = networks.to_text(*found)
    return b"".join(part + b"." for part in reversed(ip.split(b"."))) if ip else b""


def ask(sources: Sequence[Source], ip: bytes, directory: Callable[[], Directory]) -> Verdict:
    """Go through the lists; `directory` makes what is asked, and is not called where there is nothing to ask."""
    prefix = reversed_address(ip)
    only_temporary = False
    asking = directory() if sources else None
    for source in sources:
        assert asking is not None  # noqa: S101 - there is a source
        name = prefix + source.base
        try:
            if source.clears:
                if asking.exactly(name):
                    return Verdict(ACCEPT)
                continue
            text = asking.text(name)
        except OSError:
            only_temporary = True
            if source.clears and not source.closed:
                return Verdict(ACCEPT)
            if not source.clears and source.closed:
                return Verdict(REJECT, b"temporary RBL lookup error", only_temporary=True)
            continue
        if text:
            return Verdict(BOUNCE if source.bounce else REJECT, text, only_temporary)
    return Verdict(UNDECIDED, only_temporary=only_temporary)
