r"""What qmail-send says to a spawner and what it hears back. Pure.

Follows spawn.c, and report() in qmail-lspawn.c and qmail-rspawn.c. An order is SLOT MESSAGE \0 SENDER \0 RECIPIENT \0,
MESSAGE being a name below mess/; a report is SLOT K|Z|D TEXT \0.
"""

from __future__ import annotations

from svtree.formats.record import record

SLOTS = 120
# No address is longer than 1003 bytes, even with a virtual domain's prefix; more is not held.
LONGEST = 65536
MESSAGE = 100
TRUNCATED = b"\nError report too long, sorry.\n"

# Exit codes of the child that is to become qmail-local, from qlx.h.
BUG = 101
USAGE = 112
ROOT = 113
NO_ALIAS = 116
CDB = 117
SYSTEM = 118
EXEC_SOFT = 120
EXEC_GETPW = 121

_LOCAL = {
    CDB: b"ZTrouble reading users/cdb in qmail-lspawn.\n",
    119: b"ZOut of memory in qmail-lspawn.\n",
    SYSTEM: b"ZTemporary failure in qmail-lspawn.\n",
    NO_ALIAS: b"ZUnable to find alias user!\n",
    ROOT: b"ZNot allowed to perform deliveries as root.\n",
    USAGE: b"ZInternal qmail-lspawn bug.\n",
    115: b"ZNFS failure in qmail-local.\n",
    126: b"DUnable to run qmail-local.\n",
    EXEC_SOFT: b"ZUnable to run qmail-local.\n",
    EXEC_GETPW: b"ZUnable to run qmail-getpw.\n",
}
_TEMPORARY = (111, 71, 74, 75)


@record
class Order:
    """One delivery to make."""

    slot: int
    message: bytes
    sender: bytes
    recipient: bytes


class OrderError(ValueError):
    """An order that is refused: the text is its report."""

    def __init__(self, report: bytes) -> None:
        """`report` begins with Z or D."""
        super().__init__(report.decode())
        self.report = report


class Orders:
    """Takes what qmail-send writes, in pieces; gives back whole orders."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        """Nothing held."""
        self._held = b""

    def feed(self, data: bytes) -> list[Order]:
        """The orders that are complete now; ValueError for one that never ends."""
        held = self._held + data
        found = []
        at = 0
        while True:
            # The byte of the slot may be NUL.
            ends = [at]
            for _ in range(3):
                end = held.find(b"\0", ends[-1] + 1)
                if end < 0:
                    break
                ends.append(end)
            if len(ends) < 4:
                break
            message, sender, recipient = (held[ends[part] + 1 : ends[part + 1]] for part in range(3))
            found.append(Order(held[at], message, sender, recipient))
            at = ends[3] + 1
        self._held = held[at:]
        if len(self._held) > LONGEST:
            raise ValueError("an order without an end")
        return found


def check(order: Order) -> None:
    """Refuse what cannot be delivered, before anything is opened: OrderError."""
    if order.slot >= SLOTS:
        raise OrderError(b"ZInternal error: delnum too big. (#4.3.5)\n")
    for place, byte in enumerate(order.message):
        if not 48 <= byte <= 57 and (byte != 47 or not place):
            raise OrderError(b"DInternal error: messid has nonnumerics. (#5.3.5)\n")
    if len(order.message) >= MESSAGE:
        raise OrderError(b"DInternal error: messid too long. (#5.3.5)\n")
    if not order.message:
        raise OrderError(b"DInternal error: messid too short. (#5.3.5)\n")
    if b"@" not in order.recipient:
        raise OrderError(b"DSorry, address must include host name. (#5.1.3)\n")


def truncated(output: bytes, limit: int) -> bytes:
    """A child's output, cut with an excuse if it is longer than `limit`; 0 is no limit."""
    if not limit or len(output) <= limit:
        return output
    return output[: limit - len(TRUNCATED) - 3] + TRUNCATED


def local_report(code: int, output: bytes) -> bytes:
    """What is reported of qmail-local; `code` is negative if a signal ended it."""
    if code < 0:
        return b"Zqmail-local crashed.\n"
    known = _LOCAL.get(code)
    if known is not None:
        return known
    kind = b"Z" if code in _TEMPORARY else b"D" if code else b"K"
    return kind + output.split(b"\0", 1)[0]


def remote_report(code: int, output: bytes) -> bytes:
    r"""What is reported of qmail-remote.

    It prints a recipient's record (r accepted, h refused for good, s for now), then the message's (K, Z or D), each a
    letter, a text and a \0. The worse of the two counts; the message's text is added where it says more.
    """
    if code < 0:
        return b"Zqmail-remote crashed.\n"
    if code == 111:
        return b"ZUnable to run qmail-remote.\n"
    if code:
        return b"DUnable to run qmail-remote.\n"
    if not output:
        return b"Zqmail-remote produced no output.\n"
    records = output.split(b"\0")
    result = _message_result([each[:1] for each in records[:-1]])
    worst = {b"s": 0, b"h": -1}.get(output[:1], result)
    report = {1: b"K", 0: b"Z", -1: b"D"}[worst]
    if len(records) < 2:
        return report
    report += records[0][1:]
    if result <= worst and records[1][:1] in (b"Z", b"D", b"K"):
        report += records[1][1:]
    return report


def _message_result(kinds: list[bytes]) -> int:
    """1, 0 or -1 by the first record that is the message's; -1 if there is none."""
    for kind in kinds:
        if kind in (b"K", b"Z", b"D"):
            return {b"K": 1, b"Z": 0, b"D": -1}[kind]
    return -1
