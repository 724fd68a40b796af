"""svc: send commands to supervised services."""

from __future__ import annotations

import errno
import os

from svtree.program import options
from svtree.supervision import ask
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

LETTERS = "udopchaitkx"
USAGE = "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill"


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this signature
    """Write the options' letters, each once and in their order, to the control FIFO of each directory.

    A service that cannot be told is a warning, the others are told all the same, and the exit code is 0.
    """
    found, directories = options(argv, LETTERS, USAGE)
    letters = b"".join(dict.fromkeys(letter.encode() for letter, _ in found))
    # A supervisor that dies between our open and our write is a warning, not our death.
    ignore_broken_pipes()
    for directory in directories:
        problem = _tell(directory, letters)
        if problem:
            complain(b"svc: warning: " + problem)
    return 0


def _tell(directory: bytes, letters: bytes) -> bytes:
    """Send `letters` to the supervisor of `directory`; return what is wrong, nothing if nothing is."""
    try:
        ask.reach(directory)
    except OSError as error:
        return b"unable to chdir to " + directory + b": " + reason(error).encode()
    try:
        control = ask.listener(directory)
    except OSError as error:
        why = "supervise not running" if error.errno == errno.ENXIO else reason(error)
        return b"unable to control " + directory + b": " + why.encode()
    try:
        write_all(control, letters)
    except OSError as error:
        return b"error writing commands to " + directory + b": " + reason(error).encode()
    finally:
        os.close(control)
    return b""
