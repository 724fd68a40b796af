"""A .qmail file: which one controls an address, and the instructions in it.

Follows dot-qmail(5) and qmail-local.c. Text in, values out: whether a file exists, and doing what it says, is
svtree.mail.delivery's business.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# What an instruction is; four of them are the words that qmail-local -n prints.
MAILDIR = "maildir"
MBOX = "mbox"
PROGRAM = "program"
FORWARD = "forward"
ONLY_FORWARD = "list"

BLANK = b" \t"
DEFAULT = b"default"


class DotQmailError(Exception):
    """The file says nothing that can be followed; the text is qmail-local's."""


@record
class Instruction:
    """One line: its kind and the path, command or address that it names."""

    kind: str
    value: bytes


@record
class Candidate:
    """A .qmail file that may control an address; `default` is where in the extension $DEFAULT begins, if it is set."""

    name: bytes
    default: int | None


def instructions(text: bytes) -> list[Instruction]:
    """The instructions of a file that is not empty, in order, without comments and blank lines.

    A line ends at its first NUL byte, as it does for a C program. Raises DotQmailError when the first line is blank.
    """
    lines = text.split(b"\n")
    if lines[-1] == b"" and len(lines) > 1:
        lines.pop()
    stripped = [line.split(b"\0", 1)[0].rstrip(BLANK) for line in lines]
    if not stripped[0]:
        raise DotQmailError("Uh-oh: first line of .qmail file is blank. (#4.2.1)")
    found = (_instruction(line) for line in stripped)
    return [each for each in found if each is not None]


def _instruction(line: bytes) -> Instruction | None:
    first = line[:1]
    if first in (b"", b"#"):
        return None
    if first in (b".", b"/"):
        return Instruction(MAILDIR if line.endswith(b"/") else MBOX, line)
    if first == b"|":
        return Instruction(PROGRAM, line[1:])
    if first == b"+":
        # Other words after a plus are kept for the future, and until then say nothing.
        return Instruction(ONLY_FORWARD, b"") if line == b"+list" else None
    return Instruction(FORWARD, line[1:] if first == b"&" else line)


def safe_extension(extension: bytes) -> bytes:
    """The extension as it stands in a file name: small letters, and no dots that could climb out of the home."""
    return extension.lower().replace(b".", b":")


def candidates(dash: bytes, extension: bytes) -> Iterator[Candidate]:
    """The files that may control an address, the best first: the exact one, then each -default above it."""
    safe = safe_extension(extension)
    exact = len(safe) - len(DEFAULT) if safe.endswith(DEFAULT) else None
    yield Candidate(b".qmail" + dash + safe, exact)
    for length in range(len(safe), -1, -1):
        if length == 0 or safe[length - 1 : length] == b"-":
            yield Candidate(b".qmail" + dash + safe[:length] + DEFAULT, length)
