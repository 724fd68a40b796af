"""multilog's pure machine: a block of whole lines becomes what each log and each other receiver gets of it.

No I/O; the time is handed in.

A line is never looked at byte by byte: a block is split, stamped and put together again by a few calls. Follows
multilog.c of daemontools 0.76 in what is selected and written.
"""

from __future__ import annotations

from itertools import compress
from operator import itemgetter, not_

from svtree.formats.logscript import Directory, Select, StatusFile, Stderr
from svtree.formats.tai64 import NANO, label
from svtree.logs.patterns import SEEN, compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.logscript import Script
    from svtree.logs.patterns import Matcher

STAMP = 26
# The last three digits of a stamp, and how many come before them, the "@" included.
LOW = 0xFFF
HIGH_DIGITS = 22
# A longer line is cut on standard error, and marked.
SHOWN = 200
STATUS = 1001


class Share:
    """What one directory gets of a block: `data`, which is whole lines, and which of the block's lines they are."""

    __slots__ = ("_extra", "_lines", "_places", "data")

    def __init__(self, data: bytes, lines: list[bytes], extra: int, places: list[int] | None) -> None:
        """`lines` are those in `data`, each `extra` bytes shorter than there; `places` their numbers, None for all."""
        self.data = data
        self._lines = lines
        self._extra = extra
        self._places = places

    def consumed(self, end: int) -> int:
        """How many of the block's lines are done with once `data[:end]`, a whole number of lines, is written."""
        count = self.data.count(b"\n", 0, end)
        if self._places is None:
            return count
        return self._places[count - 1] + 1 if count else 0

    def place(self, end: int) -> int:
        """The number in the block of the line that begins at `data[end]`."""
        count = self.data.count(b"\n", 0, end)
        return count if self._places is None else self._places[count]

    def until(self, line: int) -> int:
        """The length of that part of `data` that comes from the block's first `line` lines."""
        if self._places is not None:
            from bisect import bisect_left

            line = bisect_left(self._places, line)
        return sum(map(len, self._lines[:line])) + self._extra * len(self._lines[:line])


class Batch:
    """A block of whole lines, sorted: a share for each directory, and what the other actions write."""

    __slots__ = ("shares", "statuses", "stderr")

    def __init__(self, shares: list[Share], stderr: bytes, statuses: dict[int, bytes]) -> None:
        """`statuses` maps a status file's number in the script to its new contents."""
        self.shares = shares
        self.stderr = stderr
        self.statuses = statuses


class Sorter:
    """Applies a script to blocks of lines. Remembers only the last timestamp, so that each is later than the last."""

    def __init__(self, script: Script) -> None:
        """`script` as logscript.parse returns it."""
        self.stamps = script.stamp
        self.extra = STAMP if script.stamp else 0
        self._last = 0
        self._digits = [b"%03x " % number for number in range(LOW + 1)] if script.stamp else []
        self._actions = [
            (action, compiled(action.pattern) if isinstance(action, Select) else None) for action in script.actions
        ]
        self._plain = all(isinstance(action, Directory) for action in script.actions)
        self._count = len(script.directories)

    def sort(self, lines: list[bytes], now: int) -> Batch:
        """Sort lines (without their newlines), the present time being `now` nanoseconds since 1970."""
        text = self._stamped(lines, now) if self.stamps else b"\n".join(lines) + b"\n"
        if self._plain:
            return Batch([Share(text, lines, self.extra + 1, None)] * self._count, b"", {})
        return self._select(lines, text)

    def _stamped(self, lines: list[bytes], now: int) -> bytes:
        """Each line after its stamp. One reading of the clock, a nanosecond more for each line: unique and rising.

        The last three digits come out of a table, what is before them is the same for all lines of a run, and one
        join puts it together: a third of the time that formatting takes.
        """
        moment = max(now, self._last + 1)
        low = moment % NANO & LOW
        if low + len(lines) > LOW + 1:
            # Begun where the last three digits are 000, at most 4 microseconds early, a large block is one run.
            moment = max(moment - low, self._last + 1)
        parts: list[bytes] = []
        done = 0
        while done < len(lines):
            nano = moment % NANO
            low = nano & LOW
            run = lines[done : done + min(LOW + 1 - low, NANO - nano)]
            fields = [b"\n" + label(moment)[:HIGH_DIGITS]] * (3 * len(run))
            fields[1::3] = self._digits[low : low + len(run)]
            fields[2::3] = run
            parts += fields
            done += len(run)
            moment += len(run)
        self._last = moment - 1
        parts[0] = parts[0][1:]
        parts.append(b"\n")
        return b"".join(parts)

    def _select(self, lines: list[bytes], text: bytes) -> Batch:
        texts = text.split(b"\n")
        texts.pop()
        seen = [each[:SEEN] for each in texts] if max(map(len, texts)) > SEEN else texts
        flags: list[object] = [True] * len(lines)
        shares: list[Share] = []
        stderr: list[tuple[int, bytes]] = []
        statuses: dict[int, bytes] = {}
        for number, (action, match) in enumerate(self._actions):
            if match is not None and isinstance(action, Select):
                flags = _selected(flags, seen, match, action)
            elif isinstance(action, Directory):
                shares.append(self._share(lines, text, texts, flags))
            elif isinstance(action, Stderr):
                stderr.extend((at, shown(seen[at])) for at in compress(range(len(seen)), flags))
            elif isinstance(action, StatusFile) and any(flags):
                statuses[number] = list(compress(seen, flags))[-1].ljust(STATUS, b"\n")
        # Line by line, and for each line in the order of the script.
        stderr.sort(key=itemgetter(0))
        return Batch(shares, b"".join(text for _, text in stderr), statuses)

    def _share(self, lines: list[bytes], text: bytes, texts: list[bytes], flags: list[object]) -> Share:
        if all(flags):
            return Share(text, lines, self.extra + 1, None)
        chosen = list(compress(texts, flags))
        data = b"\n".join(chosen) + b"\n" if chosen else b""
        return Share(data, chosen, 1, list(compress(range(len(texts)), flags)))


def _selected(flags: list[object], seen: list[bytes], match: Matcher, action: Select) -> list[object]:
    """The selection, true or false for each line, after one more pattern."""
    if action.pattern == b"*":
        return [action.wanted] * len(flags)
    # What is decided already by all lines alike needs no loop of ours.
    if action.wanted:
        if not any(flags):
            return list(map(match, seen))
        return [flag or match(each) for flag, each in zip(flags, seen, strict=True)]
    if all(flags):
        return list(map(not_, map(match, seen)))
    return [flag and not match(each) for flag, each in zip(flags, seen, strict=True)]


def shown(line: bytes) -> bytes:
    """A line as standard error gets it."""
    return line + b"\n" if len(line) <= SHOWN else line[:SHOWN] + b"...\n"
