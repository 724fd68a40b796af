"""qmail-send's side of qmail-clean, which owns what qmail-queue wrote, and the search for what crashes left.

Follows cleanup_do() and the requests in qmail-send.c: "todo/N" removes intd/N and todo/N, "foop/N" removes intd/N and
mess/N; the answer is one byte, + for done.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import queuefiles
from svtree.mail.queue import schedule
from svtree.mail.queue.store import parts
from svtree.system.streams import write_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.queue.log import Log
    from svtree.mail.queue.store import Store


class CleanerLostError(Exception):
    """qmail-clean is gone; without it nothing may go on."""


class Cleaner:
    """Asks qmail-clean, and waits for it: it only unlinks."""

    def __init__(self, to: int, answers: int, log: Log) -> None:
        """Two pipes, which stay the caller's."""
        self._to = to
        self._answers = answers
        self._log = log

    def remove(self, names: Sequence[bytes]) -> list[bool]:
        """Have these removed, at most some hundred at once: for each whether it was. Raises CleanerLostError."""
        if not names:
            return []
        answers = b""
        try:
            write_all(self._to, b"".join(name + b"\0" for name in names))
            while len(answers) < len(names):
                block = os.read(self._answers, len(names) - len(answers))
                if not block:
                    raise CleanerLostError
                answers += block
        except OSError as error:
            raise CleanerLostError from error
        done = [answer == 43 for answer in answers]
        for name, removed in zip(names, done, strict=True):
            if not removed:
                self._log(b"warning: qmail-clean unable to clean up " + name)
        return done


class Leftovers:
    """Looks through mess/ for messages that crashes left in no state, one a step, once in 21 hours."""

    def __init__(self, store: Store, cleaner: Cleaner, now: int, log: Log) -> None:
        """The first look is now."""
        self._store = store
        self._cleaner = cleaner
        self._log = log
        self.due = now
        self._parts: list[bytes] = []
        self._numbers: list[int] = []

    @property
    def busy(self) -> bool:
        """Whether a look is going on."""
        return bool(self._parts or self._numbers)

    def step(self, now: int) -> None:
        """Look at the next file, or start when it is time."""
        if not self.busy:
            if now < self.due:
                return
            self._parts = list(parts("mess"))
            self.due = now + schedule.CLEANUP
        try:
            if self._numbers:
                self._consider(self._numbers.pop(), now)
            else:
                name = self._parts.pop()
                self._numbers = self._store.numbers(name)
        except OSError as error:
            self._log(b"warning: trouble looking for leftovers: " + os.strerror(error.errno or 0).encode())

    def _consider(self, number: int, now: int) -> None:
        status = self._store.status(queuefiles.split("mess", number))
        if status is None or now <= status.st_atime + schedule.OSSIFIED:
            return
        if self._store.status(queuefiles.split("info", number)) or self._store.status(queuefiles.flat("todo", number)):
            return
        self._cleaner.remove([queuefiles.flat("foop", number)])
