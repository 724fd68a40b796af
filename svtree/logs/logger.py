"""multilog's driver: takes blocks from the intake, has them sorted, and hands them to delivery, until the end."""

from __future__ import annotations

import os
import select

from svtree.formats.logscript import StatusFile
from svtree.logs.delivery import Delivery
from svtree.logs.directory import LogDirectory
from svtree.logs.intake import BLOCK, PAGE, Direct, Spool, is_pipe, spool
from svtree.logs.patterns import SEEN
from svtree.logs.pausing import insist, pause
from svtree.logs.sorting import STAMP, Sorter
from svtree.program import Fatal
from svtree.system.clock import SYSTEM
from svtree.system.errors import reason
from svtree.system.heap import keep
from svtree.system.streams import write_all
from svtree.system.wakeup import ALARM, TERM, Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.logscript import Script
    from svtree.logs.sorting import Batch
    from svtree.program import Environ

# A longer line is passed on in pieces, as it comes, rather than kept until its end.
LONG = 65536
# A block, its lines and what is made of them, a few times.
HEAP = 800_000
# The record has to fit into its page, device, inode, size and flag of each directory.
MOST_RECEIVERS = (PAGE - 256) // 72


class Logger:
    """A multilog: one script, one input, as many directories as the script names."""

    def __init__(self, script: Script, environ: Environ, source: int = 0) -> None:
        """Open and lock everything. Raises Fatal in the original's words. `source` stays the caller's."""
        self._source = source
        self._sorter = Sorter(script)
        self._statuses = _status_files(script)
        self._logs = [LogDirectory(each, environ) for each in script.directories]
        self._tail = b""
        self._ending = False
        self._heap = keep(HEAP)
        intake = self._open_intake()
        self._delivery = Delivery(self._logs, intake)
        try:
            if isinstance(intake, Spool):
                self._recover(intake)
            for log in self._logs:
                log.begin()
        except Fatal:
            intake.close()
            raise
        self._delivery.record(0)

    def run(self) -> None:
        """Log until the end of input, or until TERM and the end of a line."""
        wakeup = Wakeup(TERM, ALARM)
        try:
            self._catch_up()
            poll = select.poll()
            poll.register(self._source, select.POLLIN)
            poll.register(wakeup.descriptor, select.POLLIN)
            while self._turn(wakeup, poll):
                continue
            for log in self._logs:
                log.end()
            self._delivery.intake.close()
        finally:
            wakeup.close()

    def close(self) -> None:
        """Give back every descriptor."""
        for log in self._logs:
            log.close()
        for descriptor, _ in self._statuses.values():
            os.close(descriptor)

    def _open_intake(self) -> Direct | Spool:
        if not 0 < len(self._logs) <= MOST_RECEIVERS:
            return Direct(self._source)
        first = self._logs[0]
        try:
            return spool(self._source, first.descriptor) or Direct(self._source)
        except OSError as error:
            raise Fatal(b"unable to write to " + first.path + b"/.unwritten: " + reason(error).encode()) from error

    def _recover(self, intake: Spool) -> None:
        """See what a logger that was killed left, and take back what it had not recorded."""
        left = intake.left
        if left is None or not intake.unfinished():
            return
        if not intake.same_boot and not all(log.is_as_recorded(left.receivers) for log in self._logs):
            # Some of it reached the disk and some did not; what is in the logs stays as it is.
            intake.forget()
            return
        # A line becomes at most this much longer, and has a byte at least.
        most = intake.unfinished() * (1 + STAMP) + STAMP + 1
        known = [log.roll_back(left.receivers, most) for log in self._logs]
        if not any(known) and len(left.receivers) == len(known):
            # It was killed while it began new files, so none is known by its inode; they are still in this order.
            known = list(left.receivers)
        self._delivery.inside = left.inside != 0
        self._delivery.chosen = [each is not None and each.chosen for each in known]

    def _catch_up(self) -> None:
        """Write what was left to be written, before anything new is waited for."""
        intake = self._delivery.intake
        while intake.waiting():
            self._sort(self._take(BLOCK) or b"")
        if isinstance(intake, Spool) and not is_pipe(self._source):
            self._finish()
            intake.close()
            self._delivery.intake = Direct(self._source)

    def _turn(self, wakeup: Wakeup, poll: select.poll) -> bool:
        """Wait for a block or a signal and deal with it; False when it is time to end."""
        if self._ending and not self._tail and not self._delivery.inside:
            return False
        poll.poll()
        if wakeup.pending():
            signals = wakeup.take()
            self._ending = self._ending or TERM in signals
            if ALARM in signals:
                self._delivery.rotate()
            return True
        # On TERM the original reads on to the end of the line, and not a byte further.
        data = self._take(1 if self._ending else BLOCK)
        if data is None:
            return True
        if not data:
            self._finish()
            return False
        self._sort(data)
        return True

    def _take(self, most: int) -> bytes | None:
        while True:
            try:
                return self._delivery.intake.take(most)
            except OSError as error:
                if isinstance(self._delivery.intake, Direct):
                    # As for the original, a source that cannot be read is at its end.
                    return b""
                # It is the file beside `current` that cannot grow. To those who watch for this line it is the same
                # disk, and the lines are still in the pipe.
                where = self._logs[0].path + b"/current"
                pause(b"unable to write to " + where + b", pausing: " + reason(error).encode())

    def _sort(self, data: bytes) -> None:
        """Deal with a block: the rest of a long line, whole lines, the beginning of another."""
        delivery = self._delivery
        if delivery.inside:
            end = data.find(b"\n") + 1
            delivery.go_on(data[:end] if end else data, ends=end > 0)
            if not end:
                return
            data = data[end:]
        if self._tail:
            data = self._tail + data
        end = data.rfind(b"\n") + 1
        self._tail = data[end:]
        if end:
            lines = data[:end].split(b"\n")
            lines.pop()
            self._deliver(lines, end)
        if len(self._tail) > LONG:
            self._begin_long(self._tail)
            self._tail = b""

    def _begin_long(self, beginning: bytes) -> None:
        """Write the beginning of a line that is too long to be kept; its first bytes say who gets it."""
        extra = self._sorter.extra
        batch = self._sorter.sort([beginning[: SEEN - extra]], SYSTEM.wall_ns())
        self._tell(batch)
        stamp = max((share.data[:extra] for share in batch.shares), default=b"")
        self._delivery.begin(stamp + beginning, len(stamp), [share.data != b"" for share in batch.shares])

    def _finish(self) -> None:
        """At the end of input, end a line that had no end."""
        if self._delivery.inside:
            self._delivery.go_on(b"\n", ends=True)
        elif self._tail:
            lines, self._tail = [self._tail], b""
            self._deliver(lines, len(lines[0]))

    def _deliver(self, lines: list[bytes], length: int) -> None:
        batch = self._sorter.sort(lines, SYSTEM.wall_ns())
        self._tell(batch)
        self._delivery.lines(lines, batch.shares, length)

    def _tell(self, batch: Batch) -> None:
        """What goes to standard error and status files. A block done again after a kill tells it again."""
        if batch.stderr:
            try:
                write_all(2, batch.stderr)
            except OSError:
                # As in the original, a standard error that is lost does not stop the log.
                pass
        for number, text in batch.statuses.items():
            self._tell_status(number, text)

    def _tell_status(self, number: int, text: bytes) -> None:
        descriptor, path = self._statuses[number]
        insist(lambda: os.pwrite(descriptor, text, 0), b"unable to write " + path)


def _status_files(script: Script) -> dict[int, tuple[int, bytes]]:
    """Open each status file: the action's number -> descriptor and path."""
    opened: dict[int, tuple[int, bytes]] = {}
    for number, action in enumerate(script.actions):
        if not isinstance(action, StatusFile):
            continue
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            os.close(os.open(action.path, flags | os.O_APPEND | os.O_CREAT, 0o600))
        except OSError as error:
            raise Fatal(b"unable to create " + action.path + b": " + reason(error).encode()) from error
        try:
            opened[number] = (os.open(action.path, flags), action.path)
        except OSError as error:
            raise Fatal(b"unable to write " + action.path + b": " + reason(error).encode()) from error
    return opened
