"""splogger's driver: takes blocks from the intake and sends each line to syslog, until the end.

What syslog does not take waits in the pipe, not in us, so that a syslog that is away holds the service back and loses
nothing. Where the intake is a spool (see svtree.logs.intake), a message is sent, then recorded as done; the record
holds the moment that the next message is to have. Killed between the two, the next splogger sends the same message
again, with the very same stamp, by which our syslog-receiver knows it and leaves it out. Another syslog shows the two,
equal to the microsecond. None is lost.
"""

from __future__ import annotations

import os
import select
import time

from svtree.logs.intake import NAME, Direct, Spool, is_pipe, spool
from svtree.logs.lines import PIECE, Splitter
from svtree.program import TEMPORARY, Fatal
from svtree.system.clock import SYSTEM
from svtree.system.errors import reason
from svtree.system.streams import complain
from svtree.system.wakeup import TERM, Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.logs.destinations import Sender
    from svtree.logs.lines import Piece
    from svtree.program import Environ

# A block from a pipe that we cannot put into a spool: what a kill may lose.
SMALL = 4096
BLOCK = 65536
# How long we go on trying to get rid of lines after the end of input or TERM, in seconds.
DRAIN = 5.0
LEAST_PAUSE = 0.05
MOST_PAUSE = 0.5
# An absence that is over before this is not worth a line: a tree that comes up, a daemon that is restarted.
GRACE = 1.0


class Forwarder:
    """Sends what comes in to one destination."""

    def __init__(self, intake: Direct | Spool, sender: Sender, source: int = 0) -> None:
        """`source` is where the intake takes from; it stays the caller's."""
        self._intake = intake
        self._sender = sender
        self._source = source
        self._most = BLOCK if isinstance(intake, Spool) else SMALL
        self._tail = b""
        self._now = 0
        self._deadline: float | None = None
        left = intake.left if isinstance(intake, Spool) and intake.unfinished() else None
        if left is None:
            self._splitter = Splitter()
        else:
            self._splitter = Splitter(moment=left.moment, severity=left.inside - 1 if left.inside else None)
        self._wakeup = Wakeup(TERM)
        if left is None:
            # Before anything is taken, so that what is taken is never without a record.
            self._record(0)

    def run(self) -> int:
        """Forward until the end of input or TERM; exit code 0, or 111 when lines could not be got rid of in time."""
        try:
            if self._forward() and self._settle():
                return 0
            self._give_up()
            return TEMPORARY
        finally:
            self._intake.close()
            self._sender.close()
            self._wakeup.close()

    def _forward(self) -> bool:
        """Forward until the end of input or TERM; False when it could not be done in time."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._wakeup.descriptor, select.POLLIN)
        while True:
            if not self._intake.waiting():
                poll.poll()
            if self._wakeup.pending():
                return self._after_term()
            data = self._take()
            if data is None:
                continue
            if not data:
                return self._last()
            if not self._lines(data):
                return False

    def _give_up(self) -> None:
        """Put what is left where the next splogger finds it, or say that it is lost."""
        if isinstance(self._intake, Direct):
            complain(b"splogger: warning: giving up: lines are lost")
            return
        while self._take():
            continue

    def _after_term(self) -> bool:
        """What has been taken is sent; a line without end is left to the next splogger where there is a spool."""
        self._ending()
        while self._intake.waiting():
            if not self._lines(self._take() or b""):
                return False
        return self._last() if isinstance(self._intake, Direct) else True

    def _ending(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + DRAIN

    def _take(self) -> bytes | None:
        try:
            return self._intake.take(self._most)
        except OSError as error:
            if isinstance(self._intake, Direct):
                return b""
            # The lines are still in the pipe, for when we are started again.
            raise Fatal("unable to write to " + NAME.decode() + ": " + reason(error)) from error

    def _lines(self, data: bytes) -> bool:
        """Send the whole lines in a block, and the full pieces of the rest; False when it could not be done in time."""
        self._now = SYSTEM.wall_ns()
        self._record(0)
        *lines, tail = (self._tail + data).split(b"\n")
        for line in lines:
            if self._pieces(line, ended=True) is None:
                return False
        rest = self._pieces(tail, ended=False)
        self._tail = rest or b""
        return rest is not None

    def _last(self) -> bool:
        """At the end of input, send a line that has no end."""
        self._ending()
        if not self._tail and self._splitter.inside is None:
            return True
        self._now = SYSTEM.wall_ns()
        self._record(0)
        return self._pieces(self._tail, ended=True) is not None

    def _pieces(self, line: bytes, *, ended: bool) -> bytes | None:
        """Send a line, or of one without end the full pieces; return what is left, None when it could not be done."""
        while ended or len(line) > PIECE:
            piece = self._splitter.piece(line, self._now, ended=ended)
            if piece is None:
                self._record(1)
                return b""
            if not self._send(piece):
                return None
            self._record(piece.size)
            if piece.ends:
                return b""
            line = line[PIECE:]
        return line

    def _record(self, count: int) -> None:
        """So many more bytes are sent; what comes next will have the time that the splitter has for it."""
        inside = 0 if self._splitter.inside is None else self._splitter.inside + 1
        self._intake.done(count, inside=inside, receivers=(), moment=self._splitter.due(self._now))
        self._intake.save()

    def _send(self, piece: Piece) -> bool:
        """Send a message, however often it takes; False when our time is up."""
        pause = LEAST_PAUSE
        began: float | None = time.monotonic()
        while True:
            try:
                if not self._sender.is_open:
                    self._sender.open()
                self._sender.send(piece)
                return True
            except OSError as error:
                if began is not None and (time.monotonic() - began >= GRACE or _is_lasting(error)):
                    where = self._sender.where.show()
                    complain(b"splogger: warning: unable to reach " + where + b", trying again: " + _why(error))
                    began = None
            if not self._pause(pause):
                return False
            pause = min(2 * pause, MOST_PAUSE)

    def _settle(self) -> bool:
        """Wait until all is in somebody else's hands."""
        self._ending()
        while True:
            try:
                if self._sender.settled():
                    return True
                if not self._sender.is_open:
                    self._sender.open()
            except OSError:
                # Tried again below.
                pass
            if not self._pause(LEAST_PAUSE):
                return False

    def _pause(self, seconds: float) -> bool:
        """Let some time pass; False when our time is up, which TERM and the end of input set an end to."""
        if self._deadline is not None:
            if time.monotonic() + seconds > self._deadline:
                return False
            time.sleep(seconds)
            return True
        poll = select.poll()
        poll.register(self._wakeup.descriptor, select.POLLIN)
        # Asked for nothing, poll tells when nobody writes to the pipe any more.
        poll.register(self._source, 0)
        poll.poll(seconds * 1000)
        if self._wakeup.pending() or any(events & select.POLLHUP for _, events in poll.poll(0)):
            self._ending()
        return True


def _is_lasting(error: OSError) -> bool:
    """Whether waiting will not mend it: a certificate that is not believed."""
    return type(error).__name__ == "SSLCertVerificationError"


def _why(error: OSError) -> bytes:
    """The reason; TLS numbers its errors in its own way."""
    return (str(error) if type(error).__module__ == "ssl" else reason(error)).encode()


def intake(source: int, environ: Environ) -> Direct | Spool:
    """Where to take lines from: through a spool where there is a place for it.

    That is the directory in $SVTREE_SPOOL, or, for a logger under a supervisor, supervise/ or the directory that it
    is in. A splogger at the end of a shell's pipe has none, and reads as the original does.
    """
    if not is_pipe(source):
        return Direct(source)
    given = environ.get(b"SVTREE_SPOOL")
    supervised = [b"supervise", b"."] if os.path.isdir(b"supervise") else []
    for place in [given] if given else supervised:
        try:
            directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            made = spool(source, directory)
        except OSError:
            # Not ours to write in, or in use.
            continue
        finally:
            os.close(directory)
        if made is not None:
            return made
    return Direct(source)
