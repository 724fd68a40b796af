"""queue/lock/tcpto: the hosts that did not answer lately, so that mail for them does not wait for them one by one.

Follows qmail-tcpto(8) and tcpto.c. The file is a row of 16-byte records: IPv4 address, number of time-outs (at least
two minutes apart, up to 10), three bytes unused, time of the last one (little-endian Unix time), four bytes unused.
"""

from __future__ import annotations

from svtree.formats.record import record

SIZE = 16
# Time-outs that count, how far apart they must be, and how many are remembered.
ENOUGH = 2
APART = 120
MOST = 10


@record
class Timeout:
    """A host that did not answer: its 4-byte address, how many times (up to MOST), and when last, in Unix seconds."""

    address: bytes
    count: int
    last: int


def timeouts(table: bytes) -> list[Timeout]:
    """The hosts that the file remembers, in its order; a last record that is cut short is none."""
    return [
        Timeout(table[at : at + 4], table[at + 4], _when(table, at))
        for at in range(0, len(table) - SIZE + 1, SIZE)
        if table[at + 4]
    ]


def is_down(table: bytes, address: bytes, now: int, pid: int) -> bool:
    """Tell whether the host timed out twice, the last time within about an hour; `pid` spreads the next attempts."""
    at = _find(table, address)
    if at is None or table[at + 4] < ENOUGH:
        return False
    return now - _when(table, at) < (60 + (pid & 31)) << 6


def note(table: bytes, address: bytes, now: int, *, timed_out: bool) -> tuple[int, bytes] | None:
    """What to write where in the file after an attempt to connect: an offset and a record, or nothing."""
    at = _find(table, address)
    if at is None:
        if not timed_out:
            return None
        at = _place(table)
        return None if at is None else (at, _record(address, 1, now))
    count = table[at + 4]
    if not timed_out:
        return at, address + b"\0" + table[at + 5 : at + SIZE]
    if count and now < APART + _when(table, at):
        return None
    return at, _record(address, min(count + 1, MOST), now)


def _record(address: bytes, count: int, now: int) -> bytes:
    return address + bytes((count, 0, 0, 0)) + (now & 0xFFFFFFFF).to_bytes(4, "little") + bytes(4)


def _find(table: bytes, address: bytes) -> int | None:
    for at in range(0, len(table) - SIZE + 1, SIZE):
        if table[at : at + 4] == address:
            return at
    return None


def _when(table: bytes, at: int) -> int:
    return int.from_bytes(table[at + 8 : at + 12], "little")


def _place(table: bytes) -> int | None:
    """The record to give up: a free one, else the oldest, where each time-out counts as 1024 seconds younger."""
    starts = range(0, len(table) - SIZE + 1, SIZE)
    free = next((at for at in starts if table[at + 4] == 0), None)
    return (
        free if free is not None else min(starts, key=lambda at: _when(table, at) + (table[at + 4] << 10), default=None)
    )
