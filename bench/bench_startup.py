"""How long each program takes to start, beside the bare interpreter of the same environment.

    python -m bench.bench_startup [rounds, default 15]

Each is run as installed, with --help, which imports it and prints its usage. All take turns, so that what else the
machine does falls on all of them. The small programs are to take at most 5 ms more than `python -I -c pass`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from svtree.registry import PROGRAMS

BIN = Path(sys.executable).parent
ALLOWED = 5.0
# Long-running or interactive: they may import what they like.
LARGE = {"svtree", "svscan", "supervise", "tcpserver", "qmail-send", "qmail-start", "qmail-remote", "qmail-queued"}


def milliseconds(argv: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - begin) * 1000


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    commands = {"": [sys.executable, "-I", "-c", "pass"]}
    commands |= {each.name: [str(BIN / each.name), "--help"] for each in PROGRAMS if (BIN / each.name).exists()}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            times[name].append(milliseconds(argv))
    bare = statistics.median(times.pop(""))
    print(f"python -I -c pass: {bare:.1f} ms")
    slow = 0
    for name, values in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        more = statistics.median(values) - bare
        late = more > ALLOWED and name not in LARGE
        slow += late
        print(f"{name:20} +{more:5.1f} ms{'   more than allowed' if late else ''}")
    print(f"{slow} of {len(times) - len(LARGE & times.keys())} small programs take more than {ALLOWED:.0f} ms more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
