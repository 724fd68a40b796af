"""tcprules: compile rules for tcpserver from standard input into a cdb, replacing the old one at once.

Follows tcprules(1) of ucspi-tcp 0.88: the same bytes, messages and exit codes, and the temporary file stays where the
rules do not compile. What differs: lines about networks and IPv6 are understood. An input that is itself the temporary
file or the cdb is refused, where the original destroys it. A third argument, which the original ignores, names the
input in messages, which then have the form NAME:LINE: REASON. And when the new rules are in place, lines that are
surely mistakes are warned of, unless -q comes before two arguments or more: `tcprules -q TMP` makes a cdb of that name.
"""

from __future__ import annotations

import gc
import os
import stat

from svtree.formats.cdb import CdbError
from svtree.formats.rules import RulesError
from svtree.program import PERMANENT, Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.streams import complain, read_all
from svtree.tcp.compiling import compile_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "tcprules: usage: tcprules rules.cdb rules.tmp"
# Rules beyond this many bytes are made by programs, and looking through them would take longer than compiling them.
LOOKED_THROUGH = 1 << 19
# Who has made one mistake a hundred times need not be told so a hundred times.
TOLD = 20


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program's signature
    """Compile standard input into argv[1] by way of argv[2]."""
    quiet = len(argv) > 3 and argv[1] == b"-q"
    words = argv[2:] if quiet else argv[1:]
    if len(words) < 2:
        raise UsageError(USAGE)
    target, temporary = words[:2]
    text = _compile(target, temporary, words[2:3])
    if not quiet and len(text) <= LOOKED_THROUGH:
        _warn(text, words[2:3])
    return 0


def _compile(target: bytes, temporary: bytes, name: Sequence[bytes]) -> bytes:
    """Have the rules on standard input in force; return them. `name` is what they are called, if anything."""
    _refuse_to_destroy_the_input(target, temporary)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _fatal(b"unable to create " + temporary, error) from error
    try:
        text = read_all(0)
    except OSError as error:
        raise _fatal(b"unable to read input", error) from error
    # A million small objects without a cycle among them: the collector would only look through them again and again.
    gc.disable()
    try:
        compile_rules(text, descriptor)
        os.fsync(descriptor)
        # A full quota may show only here.
        os.close(descriptor)
    except RulesError as error:
        raise Fatal(_explain(error, name), PERMANENT) from error
    except CdbError as error:
        # What the original calls the overflow of its 32-bit positions.
        raise Fatal(b"unable to write to " + temporary + b": out of memory") from error
    except OSError as error:
        raise _fatal(b"unable to write to " + temporary, error) from error
    try:
        os.rename(temporary, target)
    except OSError as error:
        raise _fatal(b"unable to move " + temporary + b" to " + target, error) from error
    return text


def _warn(text: bytes, name: Sequence[bytes]) -> None:
    """Say what is wrong with rules that are in force now."""
    from svtree.formats.rulelint import WARNING, lint

    found = [each for each in lint(text) if each.severity == WARNING]
    for each in found[:TOLD]:
        where = b"%s:%d" % (name[0], each.line) if name else b"line %d" % each.line
        complain(b"tcprules: warning: %s: %s" % (where, each.text.encode()))
    if len(found) > TOLD:
        where = name[0] if name else b"and"
        complain(b"tcprules: warning: %s: %d more, which svtree rules lint shows" % (where, len(found) - TOLD))


def _refuse_to_destroy_the_input(*outputs: bytes) -> None:
    for path in outputs:
        try:
            source, found = os.fstat(0), os.stat(path)
        except OSError:
            # What does not exist is not the input; what else is wrong is found, and named, when it is opened.
            continue
        if stat.S_ISREG(found.st_mode) and os.path.samestat(source, found):
            raise Fatal(path + b" is the input itself", PERMANENT)


def _explain(error: RulesError, name: Sequence[bytes]) -> bytes:
    if name:
        return b"%s:%d: %s" % (name[0], error.line, error.reason.encode())
    return b"unable to parse this line: " + error.text.partition(b"\0")[0]


def _fatal(what: bytes, error: OSError) -> Fatal:
    return Fatal(what + b": " + reason(error).encode())
