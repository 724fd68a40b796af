"""Running another program on a message, and waiting for its verdict: what the programs for .qmail files have in common.

Follows bouncesaying.c, except.c, condredirect.c, preline.c, predate.c and qsmhook.c: the program is looked for in $PATH
and runs with our descriptors; a script without "#!" is /bin/sh's, as execvp(3) has it.
"""

from __future__ import annotations

import errno
import os

from svtree.formats.record import record
from svtree.mail.delivery.message import blocks
from svtree.multicall import search
from svtree.program import TEMPORARY, Fatal
from svtree.system.errors import is_temporary
from svtree.system.spawn import spawn
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from svtree.program import Environ

# As much as the originals gather before they write: a program that has not read the last of it may have ended.
GATHERED = 8192
# Above the numbers that a program gets its pipes at.
ABOVE = 10


class CrashedError(Exception):
    """A signal ended the program."""


@record
class Fed:
    """How a program that was fed ended: its exit code, and what kept it from getting the whole message, if anything."""

    code: int
    trouble: OSError | None


def run(argv: Sequence[bytes], environ: Environ) -> int:
    """Run a program to its end; its exit code. Raises CrashedError, and OSError where it cannot be run."""
    return _wait(_start(argv, environ, {}))


def agrees(argv: Sequence[bytes], environ: Environ) -> bool:
    """Whether a program exits 0. Raises Fatal where it cannot be told now: it crashed, or exited 111."""
    try:
        code = run(argv, environ)
    except CrashedError as error:
        raise Fatal("child crashed") from error
    except OSError as error:
        # The originals' child exits 100 where it cannot become the program, and that is no.
        code = TEMPORARY if is_temporary(error) else 100
    if code == TEMPORARY:
        raise Fatal("temporary child error")
    return code == 0


def feed(argv: Sequence[bytes], environ: Environ, head: bytes, source: int = 0) -> Fed:
    """Run a program with `head`, then all of `source`, on its standard input.

    SIGPIPE must be ignored. Raises CrashedError, OSError where the program cannot be run, and UnreadableError.
    """
    out, into = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            pid = _start(argv, environ, {0: out})
        finally:
            os.close(out)
        trouble = None
        try:
            trouble = _pour(into, head, source)
        finally:
            # The program has to see the end before it is waited for.
            os.close(into)
            into = -1
            code = _wait(pid)
    finally:
        if into >= 0:
            os.close(into)
    return Fed(code, trouble)


def _pour(into: int, head: bytes, source: int) -> OSError | None:
    """Write everything; what kept us from it, unless it was the end that nobody read."""
    held = head
    for block in blocks(source):
        held += block
        while len(held) > GATHERED:
            try:
                write_all(into, held[:GATHERED])
            except OSError as error:
                return error
            held = held[GATHERED:]
    try:
        write_all(into, held)
    except OSError:
        return None
    return None


def _start(argv: Sequence[bytes], environ: Environ, descriptors: Mapping[int, int]) -> int:
    path = search(argv[0], environ)
    if path is None:
        if b"/" not in argv[0]:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        path = argv[0]
    from svtree.system.descriptors import duplicate

    # posix_spawn leaves close-on-exec set where a source has its number already.
    sources = {target: duplicate(source, ABOVE) for target, source in descriptors.items()}
    try:
        return spawn(path, argv, environ, descriptors=sources)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        return spawn(b"/bin/sh", [b"/bin/sh", path, *argv[1:]], environ, descriptors=sources)
    finally:
        for source in sources.values():
            os.close(source)


def _wait(pid: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        raise CrashedError
    return code
