"""tcprules: compile rules for tcpserver from standard input into a cdb, replacing the old one at once.

Follows tcprules(1) of ucspi-tcp 0.88: the same bytes, messages and exit codes, and the temporary file stays where the
rules do not compile. Two things differ. An input that is itself the temporary file or the cdb is refused, where the
original destroys it. And a third argument, which the original ignores, names the input in messages, which then have
the form NAME:LINE: REASON.
"""

from __future__ import annotations

import gc
import os
import stat

from svtree.formats.cdb import CdbError, make_columns
from svtree.formats.rules import RulesError, columns
from svtree.program import PERMANENT, Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.streams import read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from svtree.program import Environ

USAGE = "tcprules: usage: tcprules rules.cdb rules.tmp"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program's signature
    """Compile standard input into argv[1] by way of argv[2]."""
    if len(argv) < 3:
        raise UsageError(USAGE)
    target, temporary = argv[1:3]
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
        _write(descriptor, make_columns(columns(text)))
    except RulesError as error:
        raise Fatal(_explain(error, argv[3:4]), PERMANENT) from error
    except CdbError as error:
        # What the original calls the overflow of its 32-bit positions.
        raise Fatal(b"unable to write to " + temporary + b": out of memory") from error
    except OSError as error:
        raise _fatal(b"unable to write to " + temporary, error) from error
    try:
        os.rename(temporary, target)
    except OSError as error:
        raise _fatal(b"unable to move " + temporary + b" to " + target, error) from error
    return 0


def _refuse_to_destroy_the_input(*outputs: bytes) -> None:
    for path in outputs:
        try:
            source, found = os.fstat(0), os.stat(path)
        except OSError:
            # What does not exist is not the input; what else is wrong is found, and named, when it is opened.
            continue
        if stat.S_ISREG(found.st_mode) and os.path.samestat(source, found):
            raise Fatal(path + b" is the input itself", PERMANENT)


def _write(descriptor: int, blocks: Iterable[bytes]) -> None:
    for block in blocks:
        write_all(descriptor, block)
    os.fsync(descriptor)
    # A full quota may show only here.
    os.close(descriptor)


def _explain(error: RulesError, name: Sequence[bytes]) -> bytes:
    if name:
        return b"%s:%d: %s" % (name[0], error.line, error.reason.encode())
    return b"unable to parse this line: " + error.text.partition(b"\0")[0]


def _fatal(what: bytes, error: OSError) -> Fatal:
    return Fatal(what + b": " + reason(error).encode())
