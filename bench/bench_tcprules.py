"""tcprules beside the original: a million rules, and ten thousand.

    python -m bench.bench_tcprules [rules, default 1000000]

Rounds alternate between the two; both compile the same file on the same disk, and the results are compared. Shown are
the medians of wall and CPU time, and how many times the original's ours takes. The issue's aims: under 4 times for a
million plain rules; ten thousand in 0.1 s more than the interpreter's start.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
OURS = str(Path(sys.executable).parent / "tcprules")
ORIGINAL = "/usr/bin/tcprules"
Line = Callable[[str, int], str]
CASES: tuple[tuple[str, Line, bool], ...] = (
    ("addresses, all denied", lambda ip, _: f"{ip}:deny", True),
    ("addresses, two in three allowed", lambda ip, n: f"{ip}:{'deny' if n % 3 else 'allow'}", True),
    ("addresses, a value each", lambda ip, n: f'{ip}:allow,N="{n}"', True),
    # The original takes a network for an address that no client has.
    ("networks", lambda ip, n: f"{ip[: ip.rfind('.')]}.0/{17 + n % 8}:deny", False),
)


def seconds(program: str, source: Path, folder: Path) -> tuple[float, float]:
    """Wall time and CPU time of one run."""
    before = os.times()
    begin = time.perf_counter()
    with source.open("rb") as file:
        subprocess.run([program, "a.cdb", "a.tmp"], cwd=folder, stdin=file, check=True)
    wall = time.perf_counter() - begin
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def write(path: Path, count: int, line: Line) -> None:
    """So many lines about random addresses, the same in every run."""
    chance = random.Random(1)
    with path.open("w") as file:
        for number in range(count):
            ip = ".".join(str(octet) for octet in chance.randbytes(4))
            file.write(line(ip, number) + "\n")


def measure(folder: Path, title: str, count: int, line: Line, *, same: bool) -> None:
    """One row."""
    source = folder / "rules"
    write(source, count, line)
    runs: dict[str, list[tuple[float, float]]] = {ORIGINAL: [], OURS: []}
    made: dict[str, bytes] = {}
    for _ in range(ROUNDS):
        for program, found in runs.items():
            found.append(seconds(program, source, folder))
            made[program] = (folder / "a.cdb").read_bytes()
    if same and made[OURS] != made[ORIGINAL]:
        sys.exit(f"bench_tcprules: {title}: ours is not the original's cdb")
    wall, cpu = ({program: statistics.median(each[at] for each in runs[program]) for program in runs} for at in (0, 1))
    print(
        f"{title:34}{count:>9}{wall[OURS]:10.3f}{wall[ORIGINAL]:10.3f}"
        f"{wall[OURS] / wall[ORIGINAL]:8.2f}{cpu[OURS] / max(cpu[ORIGINAL], 0.01):11.2f}"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    if not Path(ORIGINAL).exists():
        sys.exit("bench_tcprules: the original tcprules is not installed")
    print(f"{'':34}{'rules':>9}{'ours s':>10}{'C s':>10}{'times C':>8}{'times CPU':>11}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, line, same in CASES:
            measure(folder, title, count, line, same=same)
        for title, rules in (("ten thousand", 10_000), ("none: the start alone", 0)):
            measure(folder, title, rules, CASES[0][1], same=True)


if __name__ == "__main__":
    main()
