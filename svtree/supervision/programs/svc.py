"""svc: send commands to supervised services."""

from __future__ import annotations

import errno
import os

from svtree.program import TEMPORARY, Fatal, UsageError, options
from svtree.supervision import ask
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

# The original's, and daemontools-encore's for QUIT, USR1, USR2 and WINCH.
LETTERS = "udopchaitkx" + "q12w"
# The original's text, which is what scripts know; svc(8) has the rest.
USAGE = "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill"
# How long to wait for a state unless -T says otherwise, in seconds, and how many digits it may have.
PATIENCE = 30
DIGITS = 6


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this signature
    """Write the options' letters, each once and in their order, to the control FIFO of each directory.

    A service that cannot be told is a warning, the others are told all the same, and the exit code is 0. With -W the
    services are waited for, and the code is 111 if one is not as it should be.
    """
    found, directories = options(argv, LETTERS + "W:T:", USAGE)
    state, seconds, letters = b"", PATIENCE, b""
    for letter, value in found:
        if letter == "W":
            state = value
        elif letter == "T":
            if not value.isdigit() or len(value) > DIGITS:
                raise UsageError(USAGE, "svc: -T wants a number of seconds")
            seconds = int(value)
        elif letter.encode() not in letters:
            letters += letter.encode()
    # A supervisor that dies between our open and our write is a warning, not our death.
    ignore_broken_pipes()
    if any(letter == "W" for letter, _ in found):
        return _tell_and_wait(directories, letters, state, seconds)
    _tell_all(directories, letters)
    return 0


def _tell_and_wait(directories: list[bytes], letters: bytes, state: bytes, seconds: int) -> int:
    """Tell the services, and wait until all are in `state`."""
    # Costs more than all the rest of svc.
    from svtree.supervision.waiting import STATES, Waiting

    if state not in STATES:
        raise UsageError(USAGE, "svc: -W wants up, ready, down or gone")
    try:
        waiting = Waiting(state, letters)
    except OSError as error:
        raise Fatal(f"unable to wait: {reason(error)}") from error
    try:
        # Before they are told: what they do then is seen.
        for directory in directories:
            waiting.add(directory)
        if letters:
            _tell_all(directories, letters)
        waiting.until(seconds)
        for problem in waiting.problems:
            complain(b"svc: warning: " + problem)
        return TEMPORARY if waiting.problems else 0
    finally:
        waiting.close()


def _tell_all(directories: list[bytes], letters: bytes) -> None:
    for directory in directories:
        problem = _tell(directory, letters)
        if problem:
            complain(b"svc: warning: " + problem)


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
