"""The file `watch` in a service directory: what is looked after, and what is done when it changes.

A line is `PATTERN ACTION`, separated by spaces or tabs; "#" begins a comment line. PATTERN is a path, relative to the
service directory unless it begins with "/", whose last parts may be globs (`*`, `?`, `[a-z]`; as in a shell, a name
with a leading dot is matched only by a pattern with one). ACTION is one of

- `tcprules CDB`: compile the file into CDB, with the tcprules that is found on PATH;
- `restart`: stop the service and start it again;
- `hup`, `signal NAME`: send it a signal;
- `run PROGRAM ARGUMENT...`: run a program in the service directory.

There is no quoting: where a path has a space, "?" matches it.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAGIC = b"*?["


@record
class Compile:
    """Compile rules into this cdb."""

    target: bytes


@record
class Restart:
    """Stop the service and start it again."""


@record
class Hangup:
    """Send the service a HUP."""


@record
class Signal:
    """Send the service this signal."""

    number: int


@record
class Run:
    """Run this program in the service directory."""

    argv: tuple[bytes, ...]


Action = Compile | Restart | Hangup | Signal | Run


@record
class Entry:
    """One line: its number (from 1), what it looks after, and what is done then."""

    line: int
    pattern: bytes
    action: Action


class WatchError(Exception):
    """A line is no entry: its number (from 1) and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        """`reason` is a few words without the line's number."""
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class _Unclear(Exception):  # noqa: N818 - becomes a WatchError where the line is known
    """Why a line makes no sense."""


def parse(text: bytes, signals: Mapping[bytes, int]) -> tuple[Entry, ...]:
    """The entries of a watch file; WatchError at the first line that is none. `signals` maps names, "HUP", to numbers.

    A file is compiled into a cdb by one line alone, and never into one that the same line looks after.
    """
    entries: list[Entry] = []
    targets: set[bytes] = set()
    for number, line in enumerate(text.split(b"\n"), 1):
        words = line.split()
        if not words or words[0][:1] == b"#":
            continue
        try:
            entry = Entry(number, words[0], _action(words, signals))
            if isinstance(entry.action, Compile):
                _check_target(words[0], entry.action.target, targets)
        except _Unclear as error:
            raise WatchError(number, str(error)) from None
        entries.append(entry)
    return tuple(entries)


def is_glob(pattern: bytes) -> bool:
    """Whether a pattern, or a part of one, may match more than itself."""
    return any(byte in MAGIC for byte in pattern)


def _action(words: Sequence[bytes], signals: Mapping[bytes, int]) -> Action:
    if any(b"\0" in word for word in words):
        raise _Unclear("a NUL byte")
    if b"**" in words[0]:
        raise _Unclear("** is not known here")
    if len(words) < 2:
        raise _Unclear("no action")
    name, arguments = words[1], words[2:]
    make = ACTIONS.get(name)
    if make is None:
        raise _Unclear(f"unknown action {name.decode('utf-8', 'surrogateescape')}")
    return make(arguments, signals)


def _check_target(source: bytes, target: bytes, targets: set[bytes]) -> None:
    if is_glob(source):
        raise _Unclear("tcprules takes one file, not a pattern")
    if source == target:
        raise _Unclear("the file would be compiled into itself")
    if target in targets:
        raise _Unclear("another line compiles into the same file")
    targets.add(target)


def _compile(arguments: Sequence[bytes], _: Mapping[bytes, int]) -> Action:
    if len(arguments) != 1 or arguments[0].endswith(b"/"):
        raise _Unclear("tcprules takes the name of a cdb")
    return Compile(arguments[0])


def _restart(arguments: Sequence[bytes], _: Mapping[bytes, int]) -> Action:
    if arguments:
        raise _Unclear("restart takes no arguments")
    return Restart()


def _hangup(arguments: Sequence[bytes], _: Mapping[bytes, int]) -> Action:
    if arguments:
        raise _Unclear("hup takes no arguments")
    return Hangup()


def _signal(arguments: Sequence[bytes], signals: Mapping[bytes, int]) -> Action:
    if len(arguments) != 1:
        raise _Unclear("signal takes the name of a signal")
    number = signals.get(arguments[0].upper().removeprefix(b"SIG"))
    if number is None:
        raise _Unclear(f"unknown signal {arguments[0].decode('utf-8', 'surrogateescape')}")
    return Signal(number)


def _run(arguments: Sequence[bytes], _: Mapping[bytes, int]) -> Action:
    if not arguments:
        raise _Unclear("run takes a program")
    return Run(tuple(arguments))


ACTIONS: Mapping[bytes, Callable[[Sequence[bytes], Mapping[bytes, int]], Action]] = {
    b"tcprules": _compile,
    b"restart": _restart,
    b"hup": _hangup,
    b"signal": _signal,
    b"run": _run,
}
