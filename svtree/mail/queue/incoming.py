"""New messages: the trigger, todo/, and sorting recipients into local/N and remote/N.

Follows todo_do() in qmail-send.c and INTERNALS, section 4. Where the original takes one message at a time we take what
is there, up to BATCH, and put all of them on disk at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import queuefiles
from svtree.formats.record import record
from svtree.mail.queue import deliveries, rewriting, schedule, trigger
from svtree.mail.queue.store import CHANNELS
from svtree.mail.queue.sync import CROWD
from svtree.system.loop import READ

if TYPE_CHECKING:
    from svtree.mail.queue.cleaner import Cleaner
    from svtree.mail.queue.log import Log
    from svtree.mail.queue.store import Store
    from svtree.system.loop import Loop

BATCH = 50


@record
class Sorted:
    """A message that has been read from todo/N: its files, open, and the channels that it has recipients on."""

    number: int
    files: tuple[int, ...]
    names: tuple[bytes, ...]
    channels: tuple[int, ...]


class Incoming:
    """Watches for new messages and prepares them for delivery."""

    def __init__(self, store: Store, cleaner: Cleaner, loop: Loop, now: int, log: Log) -> None:
        """The first look into todo/ is now."""
        self._store = store
        self._cleaner = cleaner
        self._loop = loop
        self._log = log
        self._trigger = -1
        self._pulled = False
        self._waiting: list[int] = []
        self.due = now
        self._set_trigger()

    @property
    def busy(self) -> bool:
        """Whether there is something to do now, whatever the time."""
        return self._pulled or bool(self._waiting)

    def step(self, now: int, rules: rewriting.Rules) -> list[Sorted]:
        """Prepare the next messages; returns those that are ready for delivery. May raise CleanerLostError."""
        if not self._waiting:
            if not self._pulled and now < self.due:
                return []
            # The trigger is set before todo/ is read: who links and pulls after this is seen by the next look.
            self._set_trigger()
            try:
                self._waiting = sorted(self._store.numbers(b"todo"), reverse=True)
            except OSError:
                self._log(b"alert: unable to opendir todo, will try again later")
                self.due = now + 10
                return []
            self.due = now + schedule.TODO
        batch = [self._waiting.pop() for _ in range(min(BATCH, len(self._waiting)))]
        done = [each for each in (self._sort(number, rules) for number in batch) if each is not None]
        return self._settle(done)

    def close(self) -> None:
        """Let go of the trigger."""
        if self._trigger >= 0:
            self._loop.forget(self._trigger)
            os.close(self._trigger)
            self._trigger = -1

    def _set_trigger(self) -> None:
        self.close()
        self._pulled = False
        try:
            self._trigger = self._store.open(trigger.NAME, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            self._log(b"warning: unable to open lock/trigger")
            return
        self._loop.watch(self._trigger, READ, self._pull)

    def _pull(self, _: int) -> None:
        # It stays readable until it is set anew, and that may have to wait.
        self._loop.forget(self._trigger)
        self._pulled = True

    def _sort(self, number: int, rules: rewriting.Rules) -> Sorted | None:
        """Read todo/N, write info/N and the recipients' files; None, with a warning, if it has to be tried again."""
        todo = queuefiles.flat("todo", number)
        files: list[int] = []
        doing, name = b"open", todo
        try:
            data = self._store.read(todo)
            doing, name = b"stat", queuefiles.split("mess", number)
            status = self._store.status(name)
            if status is None:
                raise FileNotFoundError
            for family in (*CHANNELS, "info"):
                doing, name = b"unlink", queuefiles.split(family, number)
                self._store.remove(name)
            arrival = queuefiles.arrival(data)
            channels, lists = _lists(arrival, rules)
            names = [queuefiles.split("info", number)]
            doing, name = b"create", names[0]
            files.append(self._store.create(name, queuefiles.info(arrival.sender)))
            self._announce(number, status.st_size, arrival)
            for channel in channels:
                name = queuefiles.split(CHANNELS[channel], number)
                names.append(name)
                files.append(self._store.create(name, lists[channel]))
        except queuefiles.QueueFileError as error:
            self._log(b"warning: %s in %s" % (str(error).encode(), todo))
        except OSError:
            self._log(b"warning: unable to %s %s" % (doing, name))
        else:
            return Sorted(number, tuple(files), tuple(names), channels)
        _close(files)
        return None

    def _announce(self, number: int, size: int, arrival: queuefiles.Arrival) -> None:
        self._log(b"new msg %d" % number)
        self._log(
            b"info msg %d: bytes %d from <%s> qp %d uid %d"
            % (number, size, deliveries.safe(arrival.sender), arrival.pid, arrival.uid)
        )

    def _settle(self, done: list[Sorted]) -> list[Sorted]:
        """Put the new files on disk, then have todo/N removed: from then on they are what counts."""
        ready = done
        if len(done) >= CROWD:
            try:
                self._store.settle_all()
            except OSError:
                self._log(b"warning: trouble syncing the queue")
                ready = []
        else:
            ready = [each for each in done if self._settle_one(each)]
        for each in done:
            _close(each.files)
        removed = self._cleaner.remove([queuefiles.flat("todo", each.number) for each in ready])
        return [each for each, gone in zip(ready, removed, strict=True) if gone]

    def _settle_one(self, each: Sorted) -> bool:
        try:
            self._store.settle(each.files, each.names)
        except OSError:
            self._log(b"warning: trouble fsyncing " + each.names[0])
            return False
        return True


def _lists(arrival: queuefiles.Arrival, rules: rewriting.Rules) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """The channels in use, and the bytes of local/N and remote/N."""
    lists: dict[int, list[bytes]] = {}
    for recipient in arrival.recipients:
        channel, address = rewriting.rewrite(rules, recipient)
        lists.setdefault(channel, []).append(b"T" + address + b"\0")
    return tuple(sorted(lists)), {channel: b"".join(records) for channel, records in lists.items()}


def _close(files: list[int] | tuple[int, ...]) -> None:
    for each in files:
        os.close(each)
