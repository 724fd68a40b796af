"""What tcpserver was told: its command line as one value.

Follows tcpserver(1) of ucspi-tcp 0.88, whose options are single letters. What the original has no word for is a long
option: `--workers N`.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.program import UsageError, number, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

LETTERS = "dDvqQhHrR1UXx:t:u:g:l:b:B:c:pPoO"
WITH_VALUE = frozenset("xtuglbBc")
WORKERS = b"--workers"
USAGE = (
    "tcpserver: usage: tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ]"
    " [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program"
)
# How many errors and events are told: none, errors, both.
SILENT, QUIET, VERBOSE = range(3)


@record
class Settings:
    """The options, and the words after them: host, port and program. Numbers are as they were given."""

    words: tuple[bytes, ...]
    verbosity: int = QUIET
    limit: int = 40
    rules: bytes | None = None
    rules_may_be_missing: bool = False
    banner: bytes = b""
    gid: int = 0
    uid: int = 0
    backlog: int = 20
    local_host: bytes | None = None
    timeout: int = 26
    drop_ip_options: bool = True
    delay: bool = True
    remote_host: bool = True
    remote_info: bool = True
    paranoid: bool = False
    show_port: bool = False
    workers: int = 0


# What each option without a value sets.
FLAGS: dict[str, tuple[str, bool | int]] = {
    "q": ("verbosity", SILENT),
    "Q": ("verbosity", QUIET),
    "v": ("verbosity", VERBOSE),
    "d": ("delay", True),
    "D": ("delay", False),
    "o": ("drop_ip_options", False),
    "O": ("drop_ip_options", True),
    "p": ("paranoid", True),
    "P": ("paranoid", False),
    "h": ("remote_host", True),
    "H": ("remote_host", False),
    "r": ("remote_info", True),
    "R": ("remote_info", False),
    "1": ("show_port", True),
    "X": ("rules_may_be_missing", True),
}
NUMBERS = {"c": "limit", "t": "timeout", "u": "uid", "g": "gid", "b": "backlog"}
TEXTS = {"x": "rules", "B": "banner", "l": "local_host"}


def parse(argv: Sequence[bytes], environ: Environ) -> Settings:
    """The settings in a command line; UsageError where an option makes no sense. Later options outdo earlier ones."""
    short, workers = _without_long(argv)
    found, words = options(short, LETTERS, USAGE)
    values: dict[str, object] = {}
    for letter, value in found:
        if letter in FLAGS:
            field, flag = FLAGS[letter]
            values[field] = flag
        elif letter in NUMBERS:
            values[NUMBERS[letter]] = number(value)
        elif letter in TEXTS:
            values[TEXTS[letter]] = value
        else:
            values.update(_ids(environ))
    return Settings(tuple(words), workers=workers, **values)  # type: ignore[arg-type]


def _ids(environ: Environ) -> dict[str, object]:
    """What -U takes from the environment, which is where envuidgid has put it."""
    given = ((field, environ.get(name)) for field, name in (("uid", b"UID"), ("gid", b"GID")))
    return {field: number(value) for field, value in given if value is not None}


def _without_long(argv: Sequence[bytes]) -> tuple[list[bytes], int]:
    """The command line without --workers, and its value; words that are another option's value are left alone."""
    kept = [argv[0]]
    rest = list(argv[1:])
    workers = 0
    while rest and len(rest[0]) > 1 and rest[0][:1] == b"-" and rest[0] != b"--":
        word = rest.pop(0)
        name, equals, value = word.partition(b"=")
        if name != WORKERS:
            kept.append(word)
            if _wants_more(word) and rest:
                kept.append(rest.pop(0))
            continue
        if not equals:
            if not rest:
                raise UsageError(USAGE, "tcpserver: option requires an argument -- workers")
            value = rest.pop(0)
        workers = number(value)
    return kept + rest, workers


def _wants_more(word: bytes) -> bool:
    """Whether the value of the option that ends this word is the next word."""
    for at, byte in enumerate(word[1:], 2):
        if chr(byte) in WITH_VALUE:
            return at == len(word)
    return False
