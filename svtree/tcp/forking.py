"""Forking a child that is soon a program of its own. tcpserver has one thread, which is what makes fork safe in it."""

from __future__ import annotations

import os

from svtree.program import TEMPORARY
from svtree.system.descriptors import place
from svtree.system.signals import as_a_c_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    # The C module: Python's would turn every number into an enum, for every connection.
    import _signal as signal

# What is held back from a new child until it is no longer a copy of its parent.
HELD = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM))


def fork(let_go: Callable[[], None], body: Callable[[], int]) -> int:
    """Run `let_go`, then `body`, in a child that exits with what `body` returns; return the child's pid.

    `let_go` closes what is the parent's and restores its signals. Raises OSError where no process can be had.
    """
    # A signal between fork and `let_go` would be written into the parent's wake-up pipe and taken for the parent's.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        pid = os.fork()
        if pid == 0:
            _be_the_child(let_go, body)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_the_child(let_go: Callable[[], None], body: Callable[[], int]) -> None:
    code = TEMPORARY
    try:
        let_go()
        as_a_c_program()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        code = body()
    finally:
        # Whatever happened, the child never goes back into the parent's loop.
        os._exit(code)


def put_at_standard(descriptor: int) -> None:
    """Make a connection descriptors 0 and 1, and these alone."""
    place({0: descriptor, 1: descriptor})
    if descriptor > 1:
        os.close(descriptor)
