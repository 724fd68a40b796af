"""How much one client may have at a time and in a time, so that it never takes another's share. Pure; time is given.

A client is its address; its network is the /24 or, of IPv6, the /64 that it is in, which is what one customer has. The
variables MAXLOAD, MAXCONNIP, MAXCONNC and DIEMSG are those of the limits patch for ucspi-tcp that QmailToaster uses:
each may come from a rule or from tcpserver's own environment. MAXRATE and MAXRATEC, `COUNT/SECONDS`, are ours.

What is remembered is bounded: of connections by their number, of rates by MOST clients, beyond which the one that was
quiet for longest is forgotten.
"""

from __future__ import annotations

from svtree.formats import networks
from svtree.formats.record import record
from svtree.program import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST = 65536
MAXLOAD, MAXCONNIP, MAXCONNC, DIEMSG = b"MAXLOAD", b"MAXCONNIP", b"MAXCONNC", b"DIEMSG"
MAXRATE, MAXRATEC = b"MAXRATE", b"MAXRATEC"
NAMES = frozenset((MAXLOAD, MAXCONNIP, MAXCONNC, DIEMSG, MAXRATE, MAXRATEC))


@record
class Rate:
    """So many connections in so many seconds, all at once or spread."""

    count: int
    seconds: int


@record
class Bounds:
    """What a client may have; None is as much as it likes. `load` is a hundred times the load average."""

    per_ip: int | None = None
    per_net: int | None = None
    load: int | None = None
    rate: Rate | None = None
    rate_net: Rate | None = None
    message: bytes | None = None

    def told(self, variables: Iterable[tuple[bytes, bytes]]) -> Bounds:
        """These, but for what variables say; others than NAMES say nothing."""
        values = {name: value for name, value in variables if name in NAMES}
        if not values:
            return self
        return Bounds(
            _number(values, MAXCONNIP, self.per_ip),
            _number(values, MAXCONNC, self.per_net),
            _number(values, MAXLOAD, self.load),
            rate(values[MAXRATE]) if MAXRATE in values else self.rate,
            rate(values[MAXRATEC]) if MAXRATEC in values else self.rate_net,
            values.get(DIEMSG, self.message),
        )

    def exceeded(self, crowd: Crowd, load: float) -> bytes | None:
        """The variable that forbids one more connection, with its value; None where there is room."""
        if self.load is not None and load * 100 >= self.load:
            return b"%s:%d" % (MAXLOAD, self.load)
        if self.per_ip is not None and crowd.ip >= self.per_ip:
            return b"%s:%d" % (MAXCONNIP, self.per_ip)
        if self.per_net is not None and crowd.net >= self.per_net:
            return b"%s:%d" % (MAXCONNC, self.per_net)
        return None


@record
class Place:
    """Where a client is: its address and its network."""

    ip: bytes
    net: bytes


@record
class Crowd:
    """How many connections there are from an address and from its network."""

    ip: int
    net: int


NOBODY = Crowd(0, 0)


def place(ip: bytes) -> Place:
    """The place of an address."""
    if b":" not in ip:
        return Place(ip, ip[: ip.rfind(b".") + 1])
    number = networks.parse_v6(ip) or 0
    return Place(ip, networks.to_text(networks.V6, networks.mask(networks.V6, number, 64)))


def rate(text: bytes) -> Rate | None:
    """From "COUNT/SECONDS" or "COUNT", which is per minute; None, no limit, where there is no count or no time."""
    count, slash, seconds = text.partition(b"/")
    found = Rate(number(count), number(seconds) if slash else 60)
    return found if count and found.seconds else None


class Census:
    """Counts the connections there are."""

    def __init__(self) -> None:
        """Nobody is here yet."""
        self._counts: dict[bytes, int] = {}

    def crowd(self, place: Place) -> Crowd:
        """Those that are here from a place."""
        # One table for both: no address ends with "/".
        return Crowd(self._counts.get(place.ip, 0), self._counts.get(place.net + b"/", 0))

    def enter(self, place: Place) -> None:
        """One more."""
        for key in (place.ip, place.net + b"/"):
            self._counts[key] = self._counts.get(key, 0) + 1

    def leave(self, place: Place) -> None:
        """One less."""
        for key in (place.ip, place.net + b"/"):
            left = self._counts[key] - 1
            if left:
                self._counts[key] = left
            else:
                del self._counts[key]


class Rates:
    """Tells who comes too often: a bucket for each, from which each connection takes and into which time pours."""

    def __init__(self, most: int = MOST) -> None:
        """At most so many are remembered."""
        self._most = most
        # For each, the moment at which its bucket is full again; who has come last stands last.
        self._full: dict[bytes, float] = {}

    def exceeded(self, place: Place, bounds: Bounds, now: float) -> bytes | None:
        """The variable that forbids one more connection now, with its value; None where it may, which counts."""
        wanted = ((MAXRATE, place.ip, bounds.rate), (MAXRATEC, place.net + b"/", bounds.rate_net))
        taken = []
        for name, key, limit in wanted:
            if limit is None:
                continue
            each = limit.seconds / limit.count if limit.count else float("inf")
            full = max(now, self._full.get(key, now)) + each
            if full > now + limit.seconds * (1 + 1e-9):
                return b"%s:%d/%d" % (name, limit.count, limit.seconds)
            taken.append((key, full))
        for key, full in taken:
            self._full.pop(key, None)
            if len(self._full) >= self._most:
                self._forget(now)
            self._full[key] = full
        return None

    def _forget(self, now: float) -> None:
        """Make room: let go of who may come again as if never seen, and, where that is nobody, of the quietest."""
        kept = {key: full for key, full in self._full.items() if full > now}
        if len(kept) > self._most * 7 // 8:
            # Not one at a time: each would look through all of them again.
            for key in list(kept)[: len(kept) - self._most * 7 // 8]:
                del kept[key]
        self._full = kept


def _number(values: Mapping[bytes, bytes], name: bytes, default: int | None) -> int | None:
    """An empty value lifts a limit."""
    if name not in values:
        return default
    return number(values[name]) if values[name] else None
