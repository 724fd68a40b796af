"""qmail-send's engine: what is done when, and what becomes of what was done.

Follows the main loop of qmail-send.c and INTERNALS, sections 4 to 6. The rules themselves are pure and elsewhere:
schedule (when), rewriting (where to), deliveries (the book), bouncetext (what failures say). Files are the store's.
Every change of state is on disk before the next one that relies on it, so that a kill at any moment costs at most a
second delivery of what was running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svtree.formats import queuefiles
from svtree.mail.controls import ControlError, Controls, home
from svtree.mail.queue import bouncetext, deliveries, schedule, settings
from svtree.mail.queue.bouncing import Bouncing
from svtree.mail.queue.cleaner import CleanerLostError, Leftovers
from svtree.mail.queue.deliveries import Delivery, Job
from svtree.mail.queue.incoming import Incoming
from svtree.mail.queue.store import CHANNELS, parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.queue.channel import Channel
    from svtree.mail.queue.cleaner import Cleaner
    from svtree.mail.queue.log import Log
    from svtree.mail.queue.settings import Settings
    from svtree.mail.queue.store import Store
    from svtree.program import Environ
    from svtree.system.loop import Loop

OUTCOMES = {b"K": b"success", b"Z": b"deferral", b"D": b"failure"}
# Recipients that are handed out, at most, before the loop is turned again.
STRIDE = 256


class Manager:
    """Delivers what is in the queue until it is told to stop and everything that runs has been reported."""

    def __init__(
        self,
        loop: Loop,
        store: Store,
        channels: Sequence[Channel],
        cleaner: Cleaner,
        *,
        log: Log,
        chosen: Settings,
        environ: Environ,
    ) -> None:
        """Finds out what is in the queue; everything handed in stays the caller's to close."""
        self._loop = loop
        self._store = store
        self._channels = channels
        self._cleaner = cleaner
        self._log = log
        self._controls = Controls(home(environ))
        self._lifetime = chosen.lifetime
        self._rules = chosen.rules
        self._bouncing = Bouncing(store, environ, chosen.postmaster, log)
        self._done = schedule.Agenda()
        self._unknown = schedule.Agenda()
        self._jobs = 0
        self._serial = 0
        self._leaving = False
        for number in self._existing():
            self._classify(number)
        self._report_status()
        self._incoming = Incoming(store, cleaner, loop, self._now(), log)
        self._leftovers = Leftovers(store, cleaner, self._now(), log)
        for channel in channels:
            channel.begin(self._outcome, self._spawner_died)

    def run(self) -> None:
        """Work until `leave` was called and no delivery runs."""
        try:
            while not (self._leaving and self._idle()):
                self._loop.turn(self._patience())
                self._work()
        except CleanerLostError:
            self._log(b"alert: oh no! lost qmail-clean connection! dying...")
            self._leaving = True
            while not self._idle():
                self._loop.turn()
        self._incoming.close()
        self._write_down()
        self._log(b"status: exiting")

    def leave(self) -> None:
        """Start nothing any more, and end when what runs has ended (TERM)."""
        self._leaving = True

    def hurry(self) -> None:
        """Try everything again now (ALRM)."""
        for channel in self._channels:
            channel.agenda.hurry(self._now())

    def reread(self) -> None:
        """Read locals and virtualdomains again (HUP)."""
        try:
            self._rules = settings.reread(self._controls, self._rules)
        except ControlError as error:
            self._log(b"alert: unable to reread controls: " + str(error).encode("utf-8", "surrogateescape"))

    # ------------------------------------------------------------------------------------------ the turns of the loop

    def _now(self) -> int:
        return int(self._loop.clock.wall())

    def _idle(self) -> bool:
        # Nothing can be done about the jobs of a spawner that is dead.
        return not any(channel.alive and channel.slots.used for channel in self._channels)

    def _patience(self) -> float:
        """Seconds that the loop may wait for something to happen."""
        if self._leaving:
            return schedule.FOREVER
        if self._incoming.busy or self._leftovers.busy:
            return 0
        if any(channel.current is not None and channel.available for channel in self._channels):
            return 0
        due = [self._incoming.due, self._leftovers.due]
        agendas = [self._done, self._unknown]
        if self._job_free():
            agendas += [channel.agenda for channel in self._channels if channel.current is None and channel.available]
        due += [first for first in (agenda.first() for agenda in agendas) if first is not None]
        # The wall clock may be set at any time; so no wait on it is longer than that for todo/.
        return min(max(0, min(due) - self._now()), schedule.TODO)

    def _work(self) -> None:
        if self._leaving:
            return
        now = self._now()
        for each in self._incoming.step(now, self._rules):
            for index in each.channels:
                self._channels[index].agenda.insert(now, each.number)
            if not each.channels:
                self._done.insert(now, each.number)
        for channel in self._channels:
            self._hand_out(channel)
        number = self._unknown.pop(now)
        if number is not None:
            self._classify(number)
        number = self._done.pop(now)
        if number is not None and not self._finish(number):
            self._done.insert(now + schedule.TROUBLE, number)
        self._leftovers.step(now)

    # -------------------------------------------------------------------------------------------- what is in the queue

    def _existing(self) -> list[int]:
        numbers: list[int] = []
        for directory in parts("info"):
            try:
                numbers += self._store.numbers(directory)
            except OSError:
                self._log(b"alert: unable to opendir " + directory)
        return numbers

    def _classify(self, number: int) -> None:
        """Put a message where it belongs: due on its channels, or done."""
        name = queuefiles.split("info", number)
        try:
            if self._store.status(name) is None:
                return
            name = queuefiles.flat("todo", number)
            if self._store.status(name) is not None:
                # It was being prepared: Incoming will do it again.
                return
            found = []
            for channel in self._channels:
                name = channel.file(number)
                status = self._store.status(name)
                if status is not None:
                    found.append((channel, int(status.st_mtime)))
        except OSError:
            self._log(b"warning: unable to stat %s; will try again later" % name)
            self._unknown.insert(self._now() + schedule.TROUBLE, number)
            return
        for channel, due in found:
            channel.agenda.insert(due, number)
        if not found:
            self._done.insert(self._now(), number)

    def _write_down(self) -> None:
        """Keep the moments of the next attempts, as times of the recipients' files, for the next qmail-send."""
        for channel in self._channels:
            for due, number in channel.agenda.drain():
                name = channel.file(number)
                try:
                    self._store.postpone(name, due)
                except OSError:
                    self._log(b"warning: unable to utime %s; message will be retried too soon" % name)

    # ---------------------------------------------------------------------------------------------------- starting

    def _job_free(self) -> bool:
        return self._jobs < sum(channel.slots.limit for channel in self._channels)

    def _hand_out(self, channel: Channel) -> None:
        """Start deliveries while there is room and something is due."""
        for _ in range(STRIDE):
            if not channel.available:
                return
            if channel.current is None and not self._open(channel):
                return
            self._advance(channel)

    def _open(self, channel: Channel) -> bool:
        """Begin with the earliest message that is due; False if there is none."""
        now = self._now()
        number = channel.agenda.pop(now) if self._job_free() else None
        if number is None:
            return False
        try:
            info = self._store.info(number)
            if info is not None:
                sender, birth = info
                retry = schedule.next_retry(birth, now, channel.index)
                channel.open_pass(
                    self._store, Job(number, channel.index, sender, retry, dying=now > birth + self._lifetime)
                )
                self._jobs += 1
                return True
        except OSError:
            pass
        self._log(b"warning: trouble opening %s; will try again later" % channel.file(number))
        channel.agenda.insert(now + schedule.TROUBLE, number)
        return True

    def _advance(self, channel: Channel) -> None:
        """Start the delivery to the next recipient of the message in hand, or be finished with it."""
        reading = channel.current
        if reading is None:
            return
        try:
            recipient = reading.next()
        except (OSError, queuefiles.QueueFileError) as error:
            name = channel.file(reading.job.number)
            if isinstance(error, OSError):
                self._log(b"warning: trouble reading %s; will try again later" % name)
            else:
                self._log(b"warning: unknown record type in %s!" % name)
            self._end_pass(channel)
            return
        if recipient is None:
            reading.job.read_to_end = True
            self._end_pass(channel)
            return
        self._serial += 1
        reading.job.left += 1
        channel.start(self._serial, reading.job, recipient)
        self._log(
            b"starting delivery %d: msg %d to %s %s"
            % (self._serial, reading.job.number, channel.name.encode(), deliveries.safe(recipient.address))
        )
        self._report_status()

    def _end_pass(self, channel: Channel) -> None:
        job = channel.close_pass()
        if job is not None:
            self._release(job)

    # ----------------------------------------------------------------------------------------------------- outcomes

    def _outcome(self, channel: Channel, slot: int, report: bytes) -> None:
        """A spawner's report has come."""
        delivery = channel.slots.end(slot)
        if delivery is None:
            self._log(b"warning: internal error: delivery report out of range")
            return
        kind, text = report[:1], report[1:]
        if kind == b"Z" and delivery.job.dying:
            kind, text = b"D", text + bouncetext.TOO_LONG_IN_QUEUE
        word = OUTCOMES.get(kind)
        if word is None:
            self._log(b"delivery %d: report mangled, will defer" % delivery.serial)
        else:
            self._log(b"delivery %d: %s: %s" % (delivery.serial, word, deliveries.safe(text)))
        if kind == b"K" or (
            kind == b"D" and self._bouncing.add(delivery.job.number, delivery.address, text, self._rules)
        ):
            self._mark(channel, delivery)
        self._release(delivery.job)
        self._report_status()

    def _mark(self, channel: Channel, delivery: Delivery) -> None:
        """This recipient is done."""
        job = delivery.job
        job.left -= 1
        # The last mark needs no sync of its own: the whole file goes next.
        settle = not job.complete
        try:
            self._store.mark(channel.file(job.number), delivery.position, settle=settle)
        except OSError:
            self._log(
                b"warning: trouble marking %s; message will be delivered twice!" % channel.file(job.number),
            )

    def _release(self, job: Job) -> None:
        """One who had to do with the job is finished with it; the last one says what comes next."""
        job.references -= 1
        if job.references:
            return
        self._jobs -= 1
        channel = self._channels[job.channel]
        if not job.complete:
            channel.agenda.insert(job.retry, job.number)
            return
        name = channel.file(job.number)
        try:
            self._store.remove(name)
        except OSError:
            self._log(b"warning: unable to unlink %s; will try again later" % name)
            channel.agenda.insert(self._now() + schedule.TROUBLE, job.number)
            return
        try:
            if any(self._store.status(queuefiles.split(family, job.number)) is not None for family in CHANNELS):
                return
        except OSError:
            self._log(b"warning: unable to stat " + name)
        self._done.insert(self._now(), job.number)

    def _finish(self, number: int) -> bool:
        """Every recipient is done: bounce, forget, clean up. False, with a warning, if it has to be tried again."""
        name = b""
        try:
            for family in CHANNELS:
                name = queuefiles.split(family, number)
                if self._store.status(name) is not None:
                    return True
            name = queuefiles.flat("todo", number)
            if self._store.status(name) is not None:
                return True
            name = queuefiles.split("info", number)
            if self._store.status(name) is None:
                return True
        except OSError:
            self._log(b"warning: unable to stat %s; will try again later" % name)
            return False
        if not self._bouncing.send(number, self._now()):
            return False
        self._log(b"end msg %d" % number)
        try:
            self._store.remove(name)
        except OSError:
            self._log(b"warning: unable to unlink %s; will try again later" % name)
            return False
        self._cleaner.remove([queuefiles.flat("foop", number)])
        return True

    def _report_status(self) -> None:
        counts = b"".join(
            b" %s %d/%d" % (channel.name.encode(), channel.slots.used, channel.slots.limit)
            for channel in self._channels
        )
        self._log(b"status:" + counts + (b" exitasap" if self._leaving else b""))

    def _spawner_died(self) -> None:
        self._log(b"alert: oh no! lost spawn connection! dying...")
        self.leave()
