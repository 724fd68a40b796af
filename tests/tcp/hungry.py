"""tcpserver with a glutton in its process: USR1 has it eat all memory that is left, USR2 has it give that back."""

from __future__ import annotations

import os
import resource
import signal
import sys

from svtree.multicall import call

PAGE = os.sysconf("SC_PAGESIZE")
# Large pieces first, then every size that the interpreter keeps a pool of.
SIZES = (1 << 20, 1 << 16, 1 << 12, *range(512 - 40, 0, -8))

eaten: list[object] = [None]


def eat(*_: object) -> None:
    """Have no byte left, in no pool."""
    with open("/proc/self/statm", "rb") as file:
        used = int(file.read().split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
    for size in SIZES:
        try:
            while True:
                eaten[0] = [eaten[0], bytes(size)]
        except MemoryError:
            continue
    os.write(2, b"eaten\n")


def give_back(*_: object) -> None:
    """Have plenty."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    while eaten[0] is not None:
        # One at a time: a long list of lists is not freed by going down into it.
        eaten[0] = eaten[0][0]  # type: ignore[index]
    os.write(2, b"given back\n")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, eat)
    signal.signal(signal.SIGUSR2, give_back)
    sys.exit(call("tcpserver", [os.fsencode(word) for word in sys.argv], dict(os.environb)))  # type: ignore[arg-type]
