"""Which machines take mail for a host, in the order in which to try them.

Follows RFC 5321 section 5.1, RFC 7505 and dns.c: the mail exchangers by preference, those of equal preference in random
order; without any, the host's own addresses. Addresses have 4 bytes, or 16 where they are IPv6's.
"""

from __future__ import annotations

from svtree.formats import ip
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    class Names(Protocol):
        """What is asked of the DNS. Both raise NoSuchNameError or NoAnswerError."""

        def exchangers(self, host: bytes) -> list[tuple[int, bytes]]:
            """Preferences and names of the mail exchangers, in any order; an empty name says that there is none."""

        def addresses(self, host: bytes) -> list[bytes]:
            """IPv4 addresses, 4 bytes each, and after them IPv6 addresses, 16 bytes each."""


class NoSuchNameError(Exception):
    """The DNS says that there is no such thing, and will say so again."""


class NoAnswerError(Exception):
    """The DNS says nothing now."""


@record
class Exchanger:
    """An address to try, 4 or 16 bytes, and its preference, of which less is better."""

    address: bytes
    preference: int


def literal(host: bytes) -> bytes | None:
    """The bytes of an IPv4 address in dots, in brackets or not, or of "[IPv6:...]"; None where `host` is none."""
    return ip.literal(host) or ip.parse4(host)


def of_relay(host: bytes, names: Names) -> list[Exchanger]:
    """The addresses of a host that is to be used whatever its mail exchangers are."""
    found = literal(host)
    return [Exchanger(each, 0) for each in ([found] if found is not None else names.addresses(host))]


def of_host(host: bytes, names: Names, random: Callable[[int], bytes]) -> list[Exchanger]:
    """The addresses of a host's mail exchangers, or its own; empty where none of the exchangers has one.

    `random` gives so many random bytes. Raises NoSuchNameError, and NoAnswerError where an address is wanting only
    because the DNS does not answer.
    """
    if literal(host) is not None:
        return of_relay(host, names)
    try:
        exchangers = names.exchangers(host)
    except NoSuchNameError:
        return of_relay(host, names)
    if not exchangers:
        return of_relay(host, names)
    found: list[Exchanger] = []
    unanswered = False
    for preference, name in sorted(exchangers, key=lambda each: (each[0], random(4))):
        try:
            found += [Exchanger(each.address, preference) for each in of_relay(name, names)]
        except NoSuchNameError:
            continue
        except NoAnswerError:
            unanswered = True
    if unanswered and not found:
        raise NoAnswerError
    return found


def worth_trying(exchangers: Sequence[Exchanger], ours: Iterable[bytes]) -> Iterator[Exchanger]:
    """Those that are better than this machine, to which mail would only come back. `ours` are its addresses."""
    mine = frozenset(ours) | {bytes(4), bytes(16)}
    limit = min((each.preference for each in exchangers if each.address in mine), default=None)
    return (each for each in exchangers if limit is None or each.preference < limit)
