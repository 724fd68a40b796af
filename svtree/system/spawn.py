"""Starting another program without copying ourselves: posix_spawn (vfork inside), whose cost does not grow with us.

The only way the supervisor starts anything: it has watchdog's threads, and a fork of a process with threads may stop
for ever in the child.
"""

from __future__ import annotations

import os

from svtree.system.signals import RESTORED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def spawn(
    path: bytes,
    argv: Sequence[bytes],
    environ: Mapping[bytes, bytes],
    *,
    descriptors: Mapping[int, int] | None = None,
    group: bool = False,
    session: bool = False,
    default_signals: Sequence[int] = (),
) -> int:
    """Start the program at `path` (no search) in the current directory; return its pid.

    `descriptors` maps numbers in the child to descriptors here; all others of ours are close-on-exec. Those of the
    child's numbers that are also sources must not be overwritten before they are copied: callers pass sources above
    the largest target (see descriptors.duplicate), or equal to their target. `group` makes it leader of a new process
    group, `session` of a new session. Raises OSError when it cannot be started.
    """
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in (descriptors or {}).items()]
    more: dict[str, object] = {}
    if session:
        more["setsid"] = True
    elif group:
        more["setpgroup"] = 0
    return os.posix_spawn(
        path,
        list(argv),
        dict(environ),
        file_actions=actions,
        setsigmask=(),
        setsigdef=[*RESTORED, *default_signals],
        **more,  # type: ignore[arg-type]
    )
