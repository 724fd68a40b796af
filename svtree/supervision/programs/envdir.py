"""envdir: run a program with an environment read from files."""

from __future__ import annotations

import os

from svtree.formats import envdir
from svtree.multicall import DEFAULT_PATH
from svtree.program import TEMPORARY, Chain, Fatal, UsageError
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "envdir: usage: envdir dir child"
# The kernel takes no single environment string beyond 128 kB; a first line longer than this ends no better there.
LIMIT = 1 << 20


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Apply the files of the directory argv[1] to the environment and go on with argv[2:]."""
    if len(argv) < 3:
        raise UsageError(USAGE, code=TEMPORARY)
    changed = dict(environ)
    for name, data in _files(argv[1]):
        envdir.apply(changed, name, data)
    # As in the original, a PATH in the directory is for the child: the child itself is found by ours.
    return Chain(tuple(argv[2:]), changed, environ.get(b"PATH", DEFAULT_PATH))


def _files(directory: bytes) -> list[tuple[bytes, bytes]]:
    """Name and beginning of each file that counts: all but those whose names begin with a dot."""
    try:
        # The original goes there and comes back. We do not move: a chain in one process keeps its directory.
        os.stat(directory + b"/.")
    except OSError as error:
        raise Fatal(b"unable to switch to directory " + directory + b": " + reason(error).encode()) from error
    try:
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Fatal(b"unable to read directory " + directory + b": " + reason(error).encode()) from error
    try:
        names = sorted(os.fsencode(name) for name in os.listdir(at))
        return [(name, _first_line(at, directory, name)) for name in names if name[:1] != b"."]
    finally:
        os.close(at)


def _first_line(at: int, directory: bytes, name: bytes) -> bytes:
    """The file's bytes up to the end of its first line at least; none if it has gone meanwhile."""
    shown = b"unable to read " + directory + b"/" + name + b": "
    try:
        # O_NONBLOCK: a FIFO without a writer is an empty file, as in the original, not a wait for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Fatal(shown + reason(error).encode()) from error
    data = b""
    try:
        while b"\n" not in data:
            block = os.read(descriptor, 65536)
            if not block:
                break
            data += block
            if len(data) > LIMIT:
                raise Fatal(shown + b"file too big")
    except OSError as error:
        raise Fatal(shown + reason(error).encode()) from error
    finally:
        os.close(descriptor)
    return data
