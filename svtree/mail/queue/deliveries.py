r"""The book of running deliveries: jobs (a pass over one message's recipients) and slots (one delivery each). Pure.

Follows the structures `job` and `del` of qmail-send.c, and its two byte streams with the spawners: orders
SLOT MESSAGE \0 SENDER \0 RECIPIENT \0, and reports SLOT K|Z|D TEXT \0.
"""

from __future__ import annotations

from svtree.formats import queuefiles
from svtree.formats.record import record
from svtree.mail.queue.rewriting import sender_for

REPORT = 10000


class Job:
    """One pass over the recipients of one message on one channel; lives until its last delivery has been reported."""

    __slots__ = ("channel", "dying", "left", "number", "read_to_end", "references", "retry", "sender")

    def __init__(self, number: int, channel: int, sender: bytes, retry: int, *, dying: bool) -> None:
        """`retry` is when the message is next tried; with `dying` this is its last time."""
        self.number = number
        self.channel = channel
        self.sender = sender
        self.retry = retry
        self.dying = dying
        self.left = 0
        self.references = 1
        self.read_to_end = False

    @property
    def complete(self) -> bool:
        """Whether every recipient is done, once the references are gone."""
        return self.read_to_end and not self.left


@record
class Delivery:
    """One running delivery: its slot and serial number, its job, and the recipient with its place in the file."""

    slot: int
    serial: int
    job: Job
    position: int
    address: bytes


class Slots:
    """The deliveries that run on one channel, at most `limit` (concurrencylocal, concurrencyremote, 255)."""

    __slots__ = ("_free", "_running", "limit")

    def __init__(self, limit: int) -> None:
        """All free."""
        self.limit = limit
        self._free = list(range(limit - 1, -1, -1))
        self._running: dict[int, Delivery] = {}

    @property
    def used(self) -> int:
        """How many deliveries run."""
        return len(self._running)

    @property
    def free(self) -> bool:
        """Whether another delivery may start."""
        return bool(self._free)

    def start(self, job: Job, serial: int, recipient: queuefiles.Recipient) -> Delivery:
        """Take a slot, which must be free, for a recipient; the job lives until it ends."""
        delivery = Delivery(self._free.pop(), serial, job, recipient.position, recipient.address)
        self._running[delivery.slot] = delivery
        job.references += 1
        return delivery

    def end(self, slot: int) -> Delivery | None:
        """Give back a slot: what ran there; None if nothing did, which a spawner has no right to say."""
        delivery = self._running.pop(slot, None)
        if delivery is not None:
            self._free.append(slot)
            self._free.sort(reverse=True)
        return delivery


def order(delivery: Delivery) -> bytes:
    """What a spawner is told."""
    return b"%c%s\0%s\0%s\0" % (
        delivery.slot,
        queuefiles.place(delivery.job.number),
        sender_for(delivery.job.sender, delivery.address),
        delivery.address,
    )


class Reports:
    """Takes what a spawner writes, in pieces; gives back (slot, report). Trusts it with no more than REPORT bytes."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        """Nothing held."""
        self._held = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The reports that are complete now. The byte of a slot may be NUL; that of a report ends it."""
        held = self._held + data
        found = []
        at = 0
        while True:
            end = held.find(b"\0", at + 1)
            if end < 0:
                break
            found.append((held[at], held[at + 1 : min(end, at + REPORT - 1)]))
            at = end + 1
        # The rest of an endless report is dropped as it comes; its end is still found.
        self._held = held[at : at + REPORT]
        return found


def safe(text: bytes) -> bytes:
    """A text as it may stand in the log: one word of printable bytes, newlines as slashes (logsafe() in qsutil.c)."""
    return text.translate(_SAFE)


_SAFE = bytes(47 if code == 10 else code if 33 <= code <= 126 and code != 37 else 95 for code in range(256))
