"""The letters of the control FIFO: those the lifecycle table knows, and those that only go on to the process.

svc of daemontools writes eleven of them; ours, runit's sv and daemontools-encore's svc the others.
"""

from __future__ import annotations

import signal
from typing import Final

from svtree.supervision.lifecycle import Action, Event

COMMANDS: Final = {event.value.encode(): event for event in Event if len(event.value) == 1}
SIGNALS: Final = {
    b"h": signal.SIGHUP,
    b"a": signal.SIGALRM,
    b"i": signal.SIGINT,
    b"q": signal.SIGQUIT,
    b"1": signal.SIGUSR1,
    b"2": signal.SIGUSR2,
    b"w": signal.SIGWINCH,
}
# What a program of the service's may have done in our place (svtree.supervision.custom).
REPLACEABLE: Final = {b"d": Action.ASK, b"t": Action.TERM, b"k": Action.KILL, b"p": Action.STOP, b"c": Action.CONT}
