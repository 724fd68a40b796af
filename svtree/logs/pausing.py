"""What cannot be done now is said and tried again until it can: multilog's way not to lose a line."""

from __future__ import annotations

import time

from svtree.system.errors import reason
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Value = TypeVar("Value")

PAUSE = 5


def pause(what: bytes) -> None:
    """Say what went wrong and let five seconds pass."""
    complain(b"multilog: warning: " + what)
    time.sleep(PAUSE)


def insist(action: Callable[[], Value], what: bytes) -> Value:
    """Do `action`, however often it takes; `what` goes before ", pausing: " and the reason."""
    while True:
        try:
            return action()
        except OSError as error:
            pause(what + b", pausing: " + reason(error).encode())
