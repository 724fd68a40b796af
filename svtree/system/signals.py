"""Signal dispositions: what Python changes at its start and what a program run by us must find unchanged.

Imports the C module behind `signal`: the Python one builds its enums at import, which costs a small program 3 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIG_DFL, SIG_IGN, SIGINT, SIGPIPE, SIGXFSZ, getsignal, signal
else:
    from _signal import SIG_DFL, SIG_IGN, SIGINT, SIGPIPE, SIGXFSZ, getsignal, signal

# Python ignores these two at its start, and a child inherits that unless told otherwise.
RESTORED = (SIGPIPE, SIGXFSZ)


def as_a_c_program() -> None:
    """Let SIGPIPE, SIGXFSZ and SIGINT end this process as they end a C program; an ignored SIGINT stays ignored."""
    for number in RESTORED:
        signal(number, SIG_DFL)
    if getsignal(SIGINT) is not SIG_IGN:
        signal(SIGINT, SIG_DFL)


def ignore_broken_pipes() -> None:
    """Have a write to a pipe or connection that is gone fail, for who has something to report about it."""
    signal(SIGPIPE, SIG_IGN)


def ignore_file_limits() -> None:
    """Have a write beyond the limit on file sizes fail, for who has something to clean up after it."""
    signal(SIGXFSZ, SIG_IGN)
