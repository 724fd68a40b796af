"""supervise: supervise one service."""

from __future__ import annotations

import os

from svtree.program import Fatal, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "supervise: usage: supervise dir"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Supervise the directory argv[1] until `svc -x`, TERM or INT."""
    if len(argv) != 2:
        raise UsageError(USAGE)
    from svtree.supervision.place import PlaceError
    from svtree.supervision.supervisor import Supervisor
    from svtree.system.loop import Loop

    loop = Loop()
    supervisor = Supervisor(loop, environ)
    try:
        supervisor.supervise(argv[1] and os.path.join(os.getcwdb(), argv[1]), argv[1])
        supervisor.run()
    except PlaceError as error:
        raise Fatal(str(error)) from error
    finally:
        supervisor.close()
        loop.close()
    return 0
