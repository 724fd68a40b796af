"""What every service of one supervisor shares: the loop, the environment, where to speak, what this boot is called."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

from svtree.formats.record import record
from svtree.supervision.above import Above
from svtree.system import procfs
from svtree.system.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from svtree.program import Environ
    from svtree.system.loop import Loop

# What a supervisor above us told us is not for our services.
OURS_ALONE = (
    b"NOTIFY_SOCKET",
    b"LISTEN_PID",
    b"LISTEN_FDS",
    b"LISTEN_FDNAMES",
    b"WATCHDOG_PID",
    b"WATCHDOG_USEC",
    b"SVTREE_START",
)


@record
class Context:
    """`announce(service name, sentence)` says what came to pass, `complain(line)` what is wrong."""

    loop: Loop
    environ: Environ
    announce: Callable[[bytes, str], None]
    complain: Callable[[bytes], None]
    home: int
    above: Above
    boot: bytes
    limits: tuple[int, int]

    def launch(self, directory: int, argv: tuple[bytes, ...], more: Environ, descriptors: Mapping[int, int]) -> int:
        """Start `argv` in the directory that is open as `directory`, leader of a session of its own; return its pid.

        `more` is added to the environment. The current directory is ours to move: everything else that runs in this
        process, watchdog's threads too, goes by absolute paths. Raises OSError.
        """
        raised = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.fchdir(directory)
        try:
            if raised != self.limits:
                resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)
            return spawn(argv[0], argv, {**self.environ, **more}, descriptors=descriptors, session=True)
        finally:
            if raised != self.limits:
                resource.setrlimit(resource.RLIMIT_NOFILE, raised)
            os.fchdir(self.home)

    def close(self) -> None:
        """Give back what `make` opened."""
        self.above.close()
        os.close(self.home)


def make(
    loop: Loop, environ: Environ, announce: Callable[[bytes, str], None], complain: Callable[[bytes], None]
) -> Context:
    """A context for services whose supervisor stays in the present directory.

    A service needs a dozen descriptors, so the limit on them is raised as far as it goes; what is started gets the
    limit that we were given.
    """
    # First: it takes what has been handed down to us by number.
    above = Above(loop, environ)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    except (OSError, ValueError):
        # Fewer services then; each that does not fit says so.
        pass
    home = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    inherited = {name: value for name, value in environ.items() if name not in OURS_ALONE}
    return Context(loop, inherited, announce, complain, home, above, procfs.boot_id(), limits)
