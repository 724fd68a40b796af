"""The script of multilog: its arguments as actions.

Follows multilog of daemontools 0.76, which refuses nothing: numbers stop at the first byte that is no digit and are
brought into their range, and an action it does not know is no action. Only a "t" that comes first means anything.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_COUNT = 10
LEAST_COUNT = 2
DEFAULT_SIZE = 99_999
LEAST_SIZE = 4096
MOST_SIZE = 16_777_215
# The original counts in unsigned longs; 10^64 is 0 modulo 2^64.
WORD = (1 << 64) - 1
DIGITS = 64


@record
class Select:
    """`+pattern` (wanted) or `-pattern` (not wanted)."""

    wanted: bool
    pattern: bytes


@record
class Stderr:
    """`e`: the beginning of each selected line goes to standard error."""


@record
class StatusFile:
    """`=file`: the file holds the last selected line, filled up with newlines."""

    path: bytes


@record
class Directory:
    """`./dir` or `/dir`: selected lines are appended to a rotated log, with what `s`, `n` and `!` said before it."""

    path: bytes
    size: int = DEFAULT_SIZE
    count: int = DEFAULT_COUNT
    processor: bytes | None = None


if TYPE_CHECKING:
    Action = Select | Stderr | StatusFile | Directory


@record
class Script:
    """What multilog is to do with each line: put a timestamp before it or not, then these, in order."""

    stamp: bool
    actions: tuple[Action, ...]

    @property
    def directories(self) -> tuple[Directory, ...]:
        """The log directories, in the order of the script."""
        return tuple(each for each in self.actions if isinstance(each, Directory))


def parse(words: Sequence[bytes]) -> Script:
    """Read the arguments of multilog, its name left out."""
    size, count = DEFAULT_SIZE, DEFAULT_COUNT
    processor: bytes | None = None
    actions: list[Action] = []
    for word in words:
        letter, rest = word[:1], word[1:]
        if letter in (b"+", b"-"):
            actions.append(Select(letter == b"+", rest))
        elif letter == b"e":
            actions.append(Stderr())
        elif letter == b"=":
            actions.append(StatusFile(rest))
        elif letter == b"s":
            size = min(max(_number(rest), LEAST_SIZE), MOST_SIZE)
        elif letter == b"n":
            count = max(_number(rest), LEAST_COUNT)
        elif letter == b"!":
            processor = rest
        elif letter in (b".", b"/"):
            actions.append(Directory(word, size, count, processor))
    return Script(words[0][:1] == b"t" if words else False, tuple(actions))


def _number(text: bytes) -> int:
    end = 0
    while end < len(text) and 48 <= text[end] <= 57:
        end += 1
    return int(text[max(0, end - DIGITS) : end] or b"0") & WORD
