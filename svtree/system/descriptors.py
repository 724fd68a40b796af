"""Putting descriptors where a program expects them.

Every descriptor we open is close-on-exec; a program inherits only what is placed for it here.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def place(wanted: Mapping[int, int]) -> None:
    """Make each descriptor `wanted[n]` be number n, inheritable, all at once; sources that are not targets stay open.

    Trap: dup2(n, n) does nothing and so leaves close-on-exec set: the program would lose its standard input. And a
    source may be another one's target: every such source is first moved out of the way.
    """
    above = max(wanted, default=2) + 1
    sources: dict[int, int] = {}
    moved: list[int] = []
    for target, source in wanted.items():
        if source in wanted and source != target:
            copy = duplicate(source, above)
            moved.append(copy)
            sources[target] = copy
        else:
            sources[target] = source
    for target, source in sources.items():
        if source == target:
            os.set_inheritable(target, True)
        else:
            os.dup2(source, target, inheritable=True)
    for copy in moved:
        os.close(copy)


def duplicate(descriptor: int, at_least: int = 3) -> int:
    """Copy a descriptor to the lowest free number from `at_least` on, close-on-exec."""
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    return fcntl(descriptor, F_DUPFD_CLOEXEC, at_least)


def ensure_standard() -> None:
    """Open /dev/null at 0, 1 and 2 where they are closed, so that no file of ours ever becomes a standard stream."""
    try:
        for descriptor in (0, 1, 2):
            os.get_inheritable(descriptor)
    except OSError:
        _fill_standard()


def _fill_standard() -> None:
    while True:
        descriptor = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)
