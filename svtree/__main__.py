"""python -m svtree NAME ...: run a program of ours without its script."""

from __future__ import annotations

import sys

from svtree.multicall import run
from svtree.registry import BY_NAME
from svtree.system.streams import complain

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in BY_NAME:
        complain("svtree: usage: python -m svtree PROGRAM [ARGUMENT ...]")
        sys.exit(100)
    name = sys.argv.pop(1)
    run(name)
