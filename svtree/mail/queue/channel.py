"""One of qmail-send's two channels, local and remote: what waits, what runs, and the pipes to its spawner.

Follows pqchan, pass, del and comm of qmail-send.c. What to do with an outcome is the manager's business.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import queuefiles
from svtree.mail.queue.deliveries import Delivery, Job, Reports, Slots, order
from svtree.mail.queue.schedule import Agenda
from svtree.mail.queue.store import BLOCK, CHANNELS
from svtree.system.loop import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.mail.queue.store import Store
    from svtree.system.loop import Loop


class Pass:
    """One reading of local/N or remote/N, record by record. OSError and QueueFileError as they come."""

    def __init__(self, job: Job, descriptor: int) -> None:
        """Owns the descriptor."""
        self.job = job
        self._descriptor = descriptor
        self._held = b""
        self._records: list[queuefiles.Recipient] = []
        self._position = 0

    def next(self) -> queuefiles.Recipient | None:
        """The next recipient that is not done; None at the end."""
        while True:
            while self._records:
                found = self._records.pop()
                if not found.done:
                    return found
            block = os.read(self._descriptor, BLOCK)
            if not block:
                return None
            whole, end, rest = (self._held + block).rpartition(b"\0")
            self._records = queuefiles.recipients(whole + end, self._position)[::-1]
            self._position += len(whole + end)
            self._held = rest

    def close(self) -> None:
        """Stop reading."""
        os.close(self._descriptor)


class Channel:
    """What waits for one kind of delivery, and what runs."""

    def __init__(self, index: int, limit: int, pipes: tuple[int, int], loop: Loop) -> None:
        """`index` is LOCAL or REMOTE; `pipes` are the descriptors to its spawner and from it, the caller's."""
        self.index = index
        self.name = CHANNELS[index]
        self.slots = Slots(limit)
        self.agenda = Agenda()
        self.alive = True
        self.current: Pass | None = None
        self._to, self._from = pipes
        self._loop = loop
        self._reports = Reports()
        self._unsent = b""
        self._on_report: Callable[[Channel, int, bytes], None] | None = None
        self._on_death: Callable[[], None] | None = None
        os.set_blocking(self._to, False)

    def begin(self, on_report: Callable[[Channel, int, bytes], None], on_death: Callable[[], None]) -> None:
        """Listen to the spawner: `on_report(self, slot, report)`, and `on_death()` when it is gone."""
        self._on_report = on_report
        self._on_death = on_death
        self._loop.watch(self._from, READ, self._hear)

    @property
    def available(self) -> bool:
        """Whether a delivery may start now."""
        return self.alive and not self._unsent and self.slots.free

    def file(self, number: int) -> bytes:
        """The name of a message's recipients' file."""
        return queuefiles.split(self.name, number)

    def open_pass(self, store: Store, job: Job) -> None:
        """Begin to read the recipients of a job's message. Raises OSError."""
        self.current = Pass(job, store.open(self.file(job.number)))

    def close_pass(self) -> Job | None:
        """End reading; the job whose reference is now the caller's to give back."""
        current, self.current = self.current, None
        if current is None:
            return None
        current.close()
        return current.job

    def start(self, serial: int, job: Job, recipient: queuefiles.Recipient) -> Delivery:
        """Tell the spawner to deliver; `available` must be true."""
        delivery = self.slots.start(job, serial, recipient)
        self._unsent = order(delivery)
        self._send()
        return delivery

    def close(self) -> None:
        """Let go of loop and files."""
        if self.alive:
            self._quit()
        if self.current is not None:
            self.current.close()
            self.current = None

    def _send(self, _: int = 0) -> None:
        try:
            self._unsent = self._unsent[os.write(self._to, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._die()
            return
        if self._unsent:
            self._loop.watch(self._to, WRITE, self._send)
        else:
            self._loop.forget(self._to)

    def _hear(self, _: int) -> None:
        try:
            data = os.read(self._from, BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._die()
            return
        for slot, report in self._reports.feed(data):
            if self._on_report is not None:
                self._on_report(self, slot, report)

    def _die(self) -> None:
        if self.alive:
            self._quit()
            if self._on_death is not None:
                self._on_death()

    def _quit(self) -> None:
        self.alive = False
        self._loop.forget(self._from)
        self._loop.forget(self._to)
