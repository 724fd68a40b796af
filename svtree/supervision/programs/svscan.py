"""svscan: supervise every service in a directory."""

from __future__ import annotations

import os

from svtree.program import Fatal
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "svscan: usage: svscan [ dir ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Supervise the directory argv[1], by default the present one, until TERM or INT."""
    if len(argv) > 1:
        try:
            os.chdir(argv[1])
        except OSError as error:
            raise Fatal(b"unable to chdir to " + argv[1] + b": " + reason(error).encode()) from error
    try:
        directory = os.getcwdb()
    except OSError as error:
        raise Fatal(f"unable to find out the current directory: {reason(error)}") from error
    from svtree.supervision.supervisor import Supervisor
    from svtree.system.loop import Loop

    loop = Loop()
    supervisor = Supervisor(loop, environ)
    try:
        supervisor.scan(directory)
        supervisor.run()
    finally:
        supervisor.close()
        loop.close()
    return 0
