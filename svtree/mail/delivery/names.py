"""The DNS for outgoing mail, through dnspython. Satisfies `exchangers.Names`.

dnspython is imported by the first question: it takes 60 ms and 12 MB, and mail that goes by control/smtproutes to an
address asks none. Who forks a process for every delivery imports it beforehand, with `preload`.
"""

from __future__ import annotations

import time

from svtree.formats import ip
from svtree.mail.delivery.exchangers import NoAnswerError, NoSuchNameError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dns.resolver import Answer

    from svtree.program import Environ

# Seconds: for one try with one server, for one question, and for all questions that one delivery asks.
TRY = 5.0
QUESTION = 30.0
DELIVERY = 300.0


def preload() -> None:
    """Import now what questions need, so that children forked later find it loaded."""
    __import__("dns.resolver")
    __import__("svtree.system.resolver")


class DnsNames:
    """Asks the servers of $DNSCACHEIP or /etc/resolv.conf, names as they are: no search list, no /etc/hosts."""

    def __init__(self, environ: Environ) -> None:
        """Nothing is read or asked yet."""
        self._environ = environ
        self._deadline = 0.0

    def exchangers(self, host: bytes) -> list[tuple[int, bytes]]:
        """Preferences and names of mail exchangers; see `exchangers.Names`."""
        answer = self._ask(host, "MX")
        return [(each.preference, b".".join(each.exchange.labels[:-1])) for each in answer]

    def addresses(self, host: bytes) -> list[bytes]:
        """IPv4 addresses, then IPv6's, by which fewer hosts can be reached; see `exchangers.Names`."""
        try:
            found = [each.address.encode() for each in self._ask(host, "A")]
        except NoSuchNameError:
            found = []
        try:
            found += [each.address.encode() for each in self._ask(host, "AAAA")]
        except (NoSuchNameError, NoAnswerError):
            # There are servers that fail at a question for IPv6; the answer to the other one counts.
            if not found:
                raise
        return [address for address in map(ip.parse, found) if address is not None]

    def _ask(self, host: bytes, kind: str) -> Answer:
        from dns import exception, resolver
        from dns.name import Name

        from svtree.system.resolver import Resolver

        labels = host.removesuffix(b".").split(b".")
        if labels == [b""]:
            raise NoSuchNameError
        now = time.monotonic()
        self._deadline = self._deadline or now + DELIVERY
        left = min(QUESTION, self._deadline - now)
        if left <= 0:
            raise NoAnswerError
        asking = resolver.Resolver(configure=False)
        asking.timeout = TRY
        try:
            asking.nameservers = [each.decode() for each in Resolver(self._environ).servers()]
            # Not by text: dnspython would read a backslash as an escape and turn letters into IDNA.
            name = Name((*labels, b""))
            return asking.resolve(name, kind, search=False, lifetime=left)
        except (resolver.NXDOMAIN, resolver.NoAnswer) as error:
            raise NoSuchNameError from error
        except (exception.SyntaxError, exception.FormError) as error:
            # An empty label, or one that is too long: there can be no such name.
            raise NoSuchNameError from error
        except (exception.DNSException, OSError) as error:
            raise NoAnswerError from error
