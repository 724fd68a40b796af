"""Accepting messages together: while one sync runs, those that come gather for the next.

A message is accepted in two steps (writer.py says why): mess/N and intd/N are put on disk, then todo/N is linked, and
put on disk too. Every sync here does for two generations at once: the first step of the messages that are complete, and
the second of those whose first step the sync before has done. So a message waits for two syncs, with whomever it shares
them, and the more messages come the more share each.

A sync is one syncfs, as long as those are quick. They wait for everybody's data on that file system; where that takes
too long, and for few messages, each file is synced, side by side, which a journal commits together all the same.

The syncs run in threads, which do nothing else; everything else happens in the loop's.
"""

from __future__ import annotations

import os
from _queue import SimpleQueue
from _thread import start_new_thread
from time import monotonic
from typing import TYPE_CHECKING

from svtree.formats.record import record
from svtree.mail.queue import codes, trigger
from svtree.mail.queue.codes import SubmitError
from svtree.mail.queue.sync import CROWD
from svtree.system.loop import READ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.mail.queue.writer import Entry, Queue
    from svtree.system.loop import Loop

# So many files are synced at once; more would only wait for the same disk.
THREADS = 8
# A syncfs that takes longer, in seconds, waits for others; then none for so many seconds.
QUICK = 0.01
PAUSE = 1.0


@record
class Applicant:
    """A message that is complete, and who hears how it ended: None for accepted."""

    entry: Entry
    answer: Callable[[SubmitError | None], None]


class Committer:
    """Accepts messages of one queue."""

    def __init__(self, queue: Queue, loop: Loop, *, quick: float = QUICK) -> None:
        """Queue and loop stay the caller's; `quick` is the longest that a syncfs may take, in seconds."""
        self._queue = queue
        self._loop = loop
        self._quick = quick
        self._complete: list[Applicant] = []
        self._linked: list[Applicant] = []
        self._scheduled = False
        self._settling: tuple[list[Applicant], list[Applicant]] = [], []
        self._syncs = 0
        self._failure: Exception | None = None
        self._apart_until = 0.0
        self._orders: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # Counts the syncs that have ended.
        self._ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        loop.watch(self._ended, READ, self._hear)
        for _ in range(THREADS):
            start_new_thread(self._work, ())

    def accept(self, applicant: Applicant) -> None:
        """Put a message that is `ready` on disk and into todo/, then answer."""
        self._complete.append(applicant)
        self._schedule()

    def close(self) -> None:
        """Begin nothing more; who has had no answer gets none. A sync that never ends is not waited for."""
        for _ in range(THREADS):
            self._orders.put(None)
        # Left open: a thread may still want to say that its sync has ended.
        self._loop.forget(self._ended)

    def _schedule(self) -> None:
        if not self._syncs and not self._scheduled:
            # At the end of this turn, together with whatever else is complete by then.
            self._scheduled = True
            self._loop.after(0, self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        complete, self._complete = self._complete, []
        linked, self._linked = self._linked, []
        complete = [each for each in complete if _succeeds(each, each.entry.intact)]
        self._settling = complete, linked
        syncs = self._choose([each.entry for each in complete], names=bool(linked))
        self._syncs = len(syncs)
        for each in syncs:
            self._orders.put(each)

    def _choose(self, entries: Sequence[Entry], *, names: bool) -> list[Callable[[], None]]:
        """What puts messages on disk, with `names` also the names in todo/."""
        if len(entries) + names >= CROWD and monotonic() >= self._apart_until:
            return [self._sync_all]
        syncs = [each.settle for each in entries]
        return [self._sync_names, *syncs] if names else syncs

    def _hear(self, _: int) -> None:
        self._syncs -= os.eventfd_read(self._ended)
        if self._syncs:
            return
        (complete, linked), self._settling = self._settling, ([], [])
        failure, self._failure = self._failure, None
        if failure is not None:
            _refuse(complete, linked, failure)
        else:
            self._linked = [each for each in complete if _succeeds(each, each.entry.link)]
            for each in linked:
                each.entry.forget()
                each.answer(None)
        if linked:
            trigger.pull(self._queue.descriptor)
        if self._complete or self._linked:
            self._schedule()

    # ------------------------------------------------------------------------------------------------- in the threads

    def _work(self) -> None:
        while (sync := self._orders.get()) is not None:
            try:
                sync()
            except Exception as error:  # noqa: BLE001 - whatever it is, they are not on disk, and have to be told
                self._failure = error
            os.eventfd_write(self._ended, 1)

    def _sync_names(self) -> None:
        self._queue.sync_names(b"todo")

    def _sync_all(self) -> None:
        begin = monotonic()
        self._queue.settle()
        end = monotonic()
        if end - begin > self._quick:
            self._apart_until = end + PAUSE


def _succeeds(applicant: Applicant, step: Callable[[], None]) -> bool:
    """Whether a step is done; one for whom it fails has his answer."""
    try:
        step()
    except SubmitError as error:
        applicant.answer(error)
        return False
    return True


def _refuse(complete: Sequence[Applicant], linked: Sequence[Applicant], cause: Exception) -> None:
    """A sync has failed."""
    for each in complete:
        each.entry.abandon()
    for each in linked:
        # It may be seen, even delivered, already: it is not taken back. The sender will send again, and a message that
        # arrives twice is within the promise; one that is lost is not.
        each.entry.forget()
    for each in (*complete, *linked):
        failure = SubmitError(codes.WRITE)
        failure.__cause__ = cause
        each.answer(failure)
