"""relay-ctrl-chdir: open the directory of relay grants for the programs after it."""

from __future__ import annotations

import os

from svtree.program import Chain, Fatal, UsageError
from svtree.relay import grants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "relay-ctrl-chdir: usage: relay-ctrl-chdir program [arguments]"
# High enough for programs that close the descriptors they see; the original takes the highest there can be, for which
# the kernel would make every process a table of that size.
HIGH = 250


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Open $RELAY_CTRL_DIR, put the descriptor into $RELAY_CTRL_DIR_FD and go on with argv[1:]."""
    if len(argv) < 2:
        raise UsageError(USAGE, code=1)
    path = environ.get(grants.DIRECTORY)
    if path is None:
        raise Fatal("$RELAY_CTRL_DIR is not set.")
    descriptor = _already(path, environ)
    if descriptor is None:
        descriptor = _open(path)
    return Chain(tuple(argv[1:]), {**environ, grants.DESCRIPTOR: b"%d" % descriptor})


def _already(path: bytes, environ: Environ) -> int | None:
    """The descriptor that an earlier relay-ctrl-chdir of this chain left, so that a worker does not collect them."""
    try:
        descriptor = grants.inherited(environ)
        if descriptor is None or not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return None
    except (grants.GrantsError, OSError):
        return None
    return descriptor


def _open(path: bytes) -> int:
    from fcntl import F_DUPFD, fcntl

    try:
        first = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        why = os.strerror(error.errno or 0).encode()
        raise Fatal(b"Could not open dir '" + path + b"': " + why) from error
    try:
        if os.fstat(first).st_mode & 0o170000 != 0o040000:
            raise Fatal(b"'" + path + b"' is not a directory")
        # Not close-on-exec: this one is meant for those who come after us.
        try:
            return fcntl(first, F_DUPFD, HIGH)
        except OSError:
            # The limit on descriptors is lower than that.
            return fcntl(first, F_DUPFD, 3)
    finally:
        os.close(first)
