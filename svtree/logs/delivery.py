"""Bringing sorted blocks to the log directories, turning each over where it is full, and keeping the record of it.

What is written between two records counts together: killed in between, all of it is taken back and done again by the
next logger (see svtree.logs.intake). A log turns over only just after a record, so that what is taken back never
reaches into a log that was put away.
"""

from __future__ import annotations

from svtree.logs.directory import SLACK
from svtree.logs.pausing import insist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.logs.directory import LogDirectory
    from svtree.logs.intake import Direct, Spool
    from svtree.logs.sorting import Share

EVERYTHING = 1 << 62


def fitting(log: LogDirectory, share: Share, start: int) -> int:
    """How far in the block a log may go on: to the first line that fills it, or to before one it has no room for.

    `share.data[start:]` is what it has not got yet; the log is not full. Returns a number of lines from the block's
    beginning, or more than there are.
    """
    data = share.data
    low = log.limit - SLACK - log.size
    if len(data) - start < low:
        return EVERYTHING
    newline = data.find(b"\n", start + low - 1)
    if newline + 1 - start <= log.room():
        return share.consumed(newline + 1)
    return share.place(max(data.rfind(b"\n", start, newline) + 1, start))


class Delivery:
    """The log directories of one multilog and what has been brought to them."""

    def __init__(self, logs: Sequence[LogDirectory], intake: Direct | Spool) -> None:
        """`logs` are open for appending; `intake` keeps the record."""
        self._logs = logs
        self.intake = intake
        # Inside a line whose beginning is written already, and which logs get it.
        self.inside = False
        self.chosen = [False] * len(logs)

    def record(self, count: int) -> None:
        """So many more bytes of the input are where they belong."""
        receivers = tuple(log.receiver(chosen=chosen) for log, chosen in zip(self._logs, self.chosen, strict=True))
        self.intake.done(count, inside=int(self.inside), receivers=receivers)
        where = self._logs[0].path if self._logs else b""
        insist(self.intake.save, b"unable to write to " + where + b"/.unwritten")

    def rotate(self) -> None:
        """Turn over every log that has something in it: what ALRM asks for."""
        self._rotate([log for log in self._logs if log.size > 0])

    def lines(self, lines: list[bytes], shares: Sequence[Share], length: int) -> None:
        """Write whole lines; `length` is that of the input they come from."""
        logs = self._logs
        written = [0] * len(logs)
        line = 0
        while line < len(lines):
            self._rotate([log for log in logs if log.is_full()])
            until = min(
                (fitting(log, share, start) for log, share, start in zip(logs, shares, written, strict=True)),
                default=len(lines),
            )
            if until <= line:
                # It does not fit into some log whole, so it goes in pieces into all.
                until = line + 1
                part = len(lines[line]) + 1
                self._long(line, part, shares, written)
            else:
                until = min(until, len(lines))
                part = length if until == len(lines) else sum(map(len, lines[line:until])) + until - line
                self._append(shares, written, until, len(lines))
                self.record(part)
            length -= part
            line = until
        self._rotate([log for log in logs if log.is_full()])

    def begin(self, text: bytes, extra: int, chosen: list[bool]) -> None:
        """Write the beginning of a line that has no end yet to the chosen logs. `extra`: bytes not from the input."""
        self._rotate([log for log in self._logs if log.is_full()])
        self.chosen = chosen
        self.inside = True
        self._pour(text, extra, ends=False)

    def go_on(self, text: bytes, *, ends: bool) -> None:
        """Write more of the line that we are inside of, and its newline, if that is where it `ends`."""
        self._pour(text, 0, ends=ends)

    def _append(self, shares: Sequence[Share], written: list[int], until: int, count: int) -> None:
        """Write the shares up to input line `until` of `count`; `written` is what of them is, and is brought up."""
        for at, (log, share) in enumerate(zip(self._logs, shares, strict=True)):
            end = len(share.data) if until == count else share.until(until)
            if end > written[at]:
                log.append(memoryview(share.data)[written[at] : end])
                written[at] = end

    def _long(self, number: int, length: int, shares: Sequence[Share], written: list[int]) -> None:
        """Write input line `number`, of `length` bytes, in pieces to those logs whose shares have it."""
        text = b""
        for at, share in enumerate(shares):
            end = share.until(number + 1)
            self.chosen[at] = end > written[at]
            if self.chosen[at]:
                text = share.data[written[at] : end]
                written[at] = end
        self._pour(text, len(text) - length, ends=True)

    def _pour(self, text: bytes, extra: int, *, ends: bool) -> None:
        """Write part of a line to the chosen logs, each as far as it has room, turning over in between."""
        chosen = [log for log, wanted in zip(self._logs, self.chosen, strict=True) if wanted]
        view = memoryview(text)
        at = 0
        while at < len(view):
            self._rotate([log for log in chosen if log.room() <= 0])
            piece = min([len(view) - at, *(log.room() for log in chosen)])
            for log in chosen:
                log.append(view[at : at + piece])
            at += piece
            self.inside = not (ends and at == len(view))
            # A line begins where there is room for more than the extra bytes at its front.
            self.record(piece - extra)
            extra = 0
        if ends:
            self.chosen = [False] * len(self._logs)
            self._rotate([log for log in chosen if log.is_full()])

    def _rotate(self, full: list[LogDirectory]) -> None:
        if full:
            for log in full:
                log.rotate()
            self.record(0)
