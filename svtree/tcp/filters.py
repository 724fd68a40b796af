"""Standing between two ends and changing what goes by: one process, both directions, a block each in hand.

Follows recordio.c, fixcrio.c and mconnect-io.c of ucspi-tcp 0.88, with one difference: a program that has closed its
input ends that direction alone, so that what it has still to say is not lost. It all ends with the program's output.

What goes to the program is written without waiting: it may itself be waiting for us to read, and both would for ever.
"""

from __future__ import annotations

import os
import select

from svtree.program import Fatal
from svtree.system.descriptors import ensure_standard, place
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import BLOCK, write_all
from svtree.tcp.lines import add_cr, transcript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Feed = Callable[[bytes], bytes]

# A descriptor that is ready takes this much without blocking, be it a pipe or a connection: PIPE_BUF. Those that are
# not ours alone cannot be made non-blocking, since that would be so for everybody who has them.
AT_ONCE = 4096


class Flow:
    """One direction: what comes from `source` goes through `feed` to `sink`."""

    def __init__(self, source: int, sink: int, feed: Feed, *, end: Callable[[], None] | None = None) -> None:
        """`end` is called once when the source has ended, with everything before it written."""
        self.source = source
        self.sink = sink
        # Both are over at the end of the source; `broken` is when nobody takes what is written.
        self.ended = False
        self.broken = False
        self._feed = feed
        self._end = end
        self._waiting = memoryview(b"")

    def wanted(self) -> tuple[int, int] | None:
        """The descriptor that the next step waits for and the event of poll(2); None where there is no next step."""
        if self.ended or self.broken:
            return None
        return (self.sink, select.POLLOUT) if self._waiting else (self.source, select.POLLIN)

    def step(self) -> None:
        """Read a block, or write some of it; the descriptor that was wanted is ready."""
        try:
            if self._waiting:
                self._waiting = self._waiting[os.write(self.sink, self._waiting[:AT_ONCE]) :]
                return
            block = os.read(self.source, BLOCK)
        except BlockingIOError:
            # Somebody was faster.
            return
        except OSError:
            # A connection that is reset has ended, too.
            self.broken = bool(self._waiting)
            block = b""
        if block:
            self._waiting = memoryview(self._feed(block))
        elif not self.broken:
            self.ended = True
            if self._end is not None:
                self._end()


def pump(inward: Flow, outward: Flow, *, close: bool = True) -> None:
    """Let both flow until the outward one is over; with `close`, the inward one's sink is closed when that is."""
    open_sink = True
    while not outward.ended and not outward.broken:
        steps = {}
        ready = select.poll()
        for flow in (inward, outward):
            wanted = flow.wanted()
            if wanted is not None:
                steps[wanted[0]] = flow
                ready.register(*wanted)
            elif close and open_sink:
                os.close(inward.sink)
                open_sink = False
        for descriptor, _ in ready.poll():
            steps[descriptor].step()


def converse(source: int, sink: int) -> None:
    """Let a person talk over a connection: standard input goes to `sink`, a CR before each LF, `source` to the output.

    It is over when the other side hangs up. The end of standard input is no reason to: the answer is still to come.
    """
    ignore_broken_pipes()
    pump(Flow(0, sink, add_cr), Flow(source, 1, _as_it_is), close=False)


def _as_it_is(block: bytes) -> bytes:
    return block


def interpose(make: Callable[[int, int], tuple[Flow, Flow]]) -> None:
    """Put a child between this process and its standard input and output; the program goes on here.

    In the child, `make(to the program, from the program)` says what flows. It never returns there.
    """
    # Were one of them closed, a pipe would take its number, and be its own other end.
    ensure_standard()
    try:
        from_child, to_program = os.pipe()
        from_program, to_child = os.pipe()
    except OSError as error:
        raise Fatal(f"unable to create pipe: {reason(error)}") from error
    try:
        pid = os.fork()
    except OSError as error:
        raise Fatal(f"unable to fork: {reason(error)}") from error
    if pid == 0:
        code = 111
        try:
            os.close(from_child)
            os.close(to_child)
            # These ends are the filter's alone.
            os.set_blocking(to_program, False)
            ignore_broken_pipes()
            pump(*make(to_program, from_program))
            code = 0
        finally:
            # Whatever happens, the child does not go on as the program.
            os._exit(code)
    os.close(to_program)
    os.close(from_program)
    place({0: from_child, 1: to_child})
    for descriptor in {from_child, to_child} - {0, 1}:
        os.close(descriptor)


class Tap:
    """Lets everything by, and writes a transcript of it to standard error."""

    def __init__(self, prefix: bytes) -> None:
        """`prefix` begins each line."""
        self._prefix = prefix

    def feed(self, block: bytes) -> bytes:
        """The block itself."""
        self._say(transcript(self._prefix, block))
        return block

    def end(self) -> None:
        """The stream is over."""
        self._say([self._prefix + b"[EOF]\n"])

    @staticmethod
    def _say(lines: Sequence[bytes]) -> None:
        # Whole lines, and no more at once than a pipe takes in one piece: other writers' lines stay whole, too.
        text = b""
        for line in lines:
            if len(text) + len(line) > AT_ONCE:
                _log(text)
                text = b""
            text += line
        _log(text)


def _log(text: bytes) -> None:
    try:
        write_all(2, text)
    except OSError:
        # Nobody reads the transcript; the program goes on, as in the original.
        return


def through(feed: Feed, end: Callable[[], bytes] | None = None, source: int = 0, sink: int = 1) -> None:
    """Copy a stream to its end through a filter; OSError where it cannot be read or written."""
    while block := os.read(source, BLOCK):
        write_all(sink, feed(block))
    if end is not None:
        write_all(sink, end())
