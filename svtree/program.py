"""What every program is made of: its arguments, its environment, its ways to fail, and the chain it may return.

A program is a function `main(argv, environ) -> int | Chain`. `argv` includes the program's own name, both are bytes.
It never exits, never execs and never touches os.environ: it returns an exit code or the next program of the chain,
or raises `Fatal` or `UsageError`; `svtree.multicall` does the rest.

Follows the conventions of daemontools, ucspi-tcp and qmail: exit 100 for what will never work, 111 for what may work
later, one line on standard error.
"""

from __future__ import annotations

from svtree.formats.numbers import scan
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Environ: TypeAlias = dict[bytes, bytes]
    Main: TypeAlias = Callable[[Sequence[bytes], Environ], "int | Chain"]

PERMANENT = 100
TEMPORARY = 111


@record
class Chain:
    """The program to run next, in this process: its argv (name first) and its environment.

    It is looked for in `path`, or, where that is None, in the PATH of its own environment; under the name `file`, or,
    where that is None, under the first word of `argv`.
    """

    argv: tuple[bytes, ...]
    environ: Environ
    path: bytes | None = None
    file: bytes | None = None


class Spent(int):
    """The exit code of a process that has heard somebody's secret: it shall serve nobody else."""


class Fatal(Exception):  # noqa: N818 - the word the originals print
    """The program ends: `NAME: fatal: MESSAGE` on standard error and `code` as exit code."""

    def __init__(self, message: str | bytes, code: int = TEMPORARY) -> None:
        """`message` says what, with which file, and why, without a final full stop or newline."""
        super().__init__(message)
        self.message = message if isinstance(message, bytes) else message.encode("utf-8", "surrogateescape")
        self.code = code


class UsageError(Exception):
    """The arguments make no sense: the complaint, if any, then the usage text; exit code 100."""

    def __init__(self, usage: str, complaint: str = "", code: int = PERMANENT) -> None:
        """`usage` is printed as it is, with a newline added; `complaint` is a line that comes before it."""
        super().__init__(complaint or usage)
        self.usage = usage
        self.complaint = complaint
        self.code = code


def options(argv: Sequence[bytes], letters: str, usage: str) -> tuple[list[tuple[str, bytes]], list[bytes]]:
    """Split argv into options and what follows them, as DJB's subgetopt does.

    `letters` lists the option letters, each followed by a colon if it takes a value: "vx:". Parsing ends at the first
    word that is not an option, at "-" (which is kept) or after "--" (which is not). A value may stand in the same word;
    after two colons it can stand nowhere else, and may be missing.
    Returns [(letter, value or b"")], [remaining words].
    """
    found: list[tuple[str, bytes]] = []
    rest = list(argv[1:])
    while rest:
        word = rest[0]
        if len(word) < 2 or word[:1] != b"-":
            break
        rest.pop(0)
        if word == b"--":
            break
        at = 1
        while at < len(word):
            letter = chr(word[at])
            at += 1
            place = letters.find(letter) if letter != ":" else -1
            if place < 0:
                name = argv[0].rpartition(b"/")[2].decode("utf-8", "surrogateescape")
                raise UsageError(usage, f"{name}: illegal option -- {letter}")
            if letters[place + 1 : place + 2] != ":":
                found.append((letter, b""))
                continue
            if at < len(word) or letters[place + 2 : place + 3] == ":":
                value = word[at:]
            elif rest:
                value = rest.pop(0)
            else:
                name = argv[0].rpartition(b"/")[2].decode("utf-8", "surrogateescape")
                raise UsageError(usage, f"{name}: option requires an argument -- {letter}")
            found.append((letter, value))
            break
    return found, rest


def number(text: bytes) -> int:
    """The decimal number at the start of `text`, 0 where there is none, as DJB's scan_ulong reads it."""
    return scan(text)[0] or 0
