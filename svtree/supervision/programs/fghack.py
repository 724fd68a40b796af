"""fghack: keep a daemon in the foreground."""

from __future__ import annotations

import os

from svtree.program import Chain, Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.streams import BLOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "fghack: usage: fghack child"
# A program that closes "all" descriptors when it goes into the background usually stops counting before this.
COPIES = 30


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Run argv[1:] with many descriptors for a pipe; end when it has ended and nobody holds the pipe any more.

    Returns twice, as fork does: the child goes on with its program, the parent has its exit code.
    """
    if len(argv) < 2:
        raise UsageError(USAGE)
    try:
        reading, writing = os.pipe()
    except OSError as error:
        raise Fatal(f"unable to create pipe: {reason(error)}") from error
    try:
        pid = os.fork()
    except OSError as error:
        raise Fatal(f"unable to fork: {reason(error)}") from error
    if pid == 0:
        os.close(reading)
        _scatter(writing)
        return Chain(tuple(argv[1:]), environ)
    os.close(writing)
    _await_end(reading)
    return _exit_code(pid)


def _scatter(descriptor: int) -> None:
    """Let the next program inherit a descriptor many times."""
    os.set_inheritable(descriptor, True)
    for _ in range(COPIES):
        try:
            os.set_inheritable(os.dup(descriptor), True)
        except OSError:
            # At the limit of open files. The original goes on here, too.
            return


def _await_end(reading: int) -> None:
    try:
        while os.read(reading, BLOCK):
            pass
    finally:
        os.close(reading)


def _exit_code(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except OSError as error:
        raise Fatal(f"wait failed: {reason(error)}") from error
    if os.WIFSIGNALED(status):
        raise Fatal("child crashed")
    return os.waitstatus_to_exitcode(status)
