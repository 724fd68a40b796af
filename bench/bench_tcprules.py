"""tcprules beside the original: a million rules, and ten thousand.

    python -m bench.bench_tcprules [rules, default 1000000]

Rounds alternate between the two; both compile the same file on the same disk, and the results are compared. Shown are
the medians of wall and CPU time, how many times the original's ours takes, and the most memory that one of our two
processes had. The issue's aims: under 4 times for a million rules; ten thousand in 0.1 s more than the start of the
interpreter, which is a row of its own. The original makes nothing of networks, and so has less to do for these.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROUNDS = 5
OURS = str(Path(sys.executable).parent / "tcprules")
ORIGINAL = "/usr/bin/tcprules"
Line = Callable[[str, int], str]
CASES: tuple[tuple[str, Line, bool], ...] = (
    ("addresses, all denied", lambda ip, _: f"{ip}:deny", True),
    ("addresses, two in three allowed", lambda ip, n: f"{ip}:{'deny' if n % 3 else 'allow'}", True),
    ("addresses, a value each", lambda ip, n: f'{ip}:allow,N="{n}"', True),
    ("one line in ten a comment", lambda ip, n: f"{ip}:deny" if n % 10 else f"# {n}", True),
    ("ranges of four", lambda ip, n: f"{ip[: ip.rfind('.')]}.{n % 100}-{n % 100 + 3}:deny", True),
    # The original takes a network for an address that no client has.
    ("networks", lambda ip, n: f"{ip[: ip.rfind('.')]}.0/{17 + n % 8}:deny", False),
)


class Run:
    """Wall and CPU time of one run, in seconds, and its memory in MB."""

    def __init__(self, argv: Sequence[str], source: Path, folder: Path) -> None:
        before = os.times()
        begin = time.perf_counter()
        with source.open("rb") as file:
            process = subprocess.Popen(argv, cwd=folder, stdin=file)
            _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"bench_tcprules: {argv[0]} ended with {process.returncode}")
        after = os.times()
        self.cpu = after.children_user + after.children_system - before.children_user - before.children_system
        self.memory = usage.ru_maxrss / 1024


def digest(path: Path) -> bytes:
    """Of a file's content. Nothing large is kept here: our own memory would be taken for that of what we start."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def write(path: Path, count: int, line: Line) -> None:
    """So many lines about random addresses, the same in every run."""
    chance = random.Random(1)
    with path.open("w") as file:
        for number in range(count):
            ip = ".".join(str(octet) for octet in chance.randbytes(4))
            file.write(line(ip, number) + "\n")


def measure(folder: Path, title: str, count: int, line: Line, *, same: bool) -> float:
    """One row; returns the wall time of ours."""
    source = folder / "rules"
    write(source, count, line)
    runs: dict[str, list[Run]] = {ORIGINAL: [], OURS: []}
    made: dict[str, bytes] = {}
    for _ in range(ROUNDS):
        for program, found in runs.items():
            found.append(Run([program, "a.cdb", "a.tmp"], source, folder))
            made[program] = digest(folder / "a.cdb")
    if same and made[OURS] != made[ORIGINAL]:
        sys.exit(f"bench_tcprules: {title}: ours is not the original's cdb")
    wall = {program: statistics.median(each.wall for each in found) for program, found in runs.items()}
    cpu = {program: statistics.median(each.cpu for each in found) for program, found in runs.items()}
    print(
        f"{title:34}{count:>9}{wall[OURS]:10.3f}{wall[ORIGINAL]:10.3f}{wall[OURS] / wall[ORIGINAL]:8.2f}"
        f"{cpu[OURS] / max(cpu[ORIGINAL], 0.01):11.2f}{max(each.memory for each in runs[OURS]):8.0f}"
        f"{wall[OURS] / count * 1e6 if count else 0:10.2f}"
    )
    return wall[OURS]


def start(folder: Path) -> float:
    """The wall time of the interpreter alone, which runs as our programs do."""
    nothing = folder / "nothing"
    nothing.write_bytes(b"")
    return statistics.median(Run([sys.executable, "-I", "-c", "pass"], nothing, folder).wall for _ in range(ROUNDS))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    if not Path(ORIGINAL).exists():
        sys.exit("bench_tcprules: the original tcprules is not installed")
    print(f"{'':34}{'rules':>9}{'ours s':>10}{'C s':>10}{'times C':>8}{'times CPU':>11}{'MB':>8}{'us each':>10}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, line, same in CASES:
            measure(folder, title, count, line, same=same)
        print(f"the machine's load: {os.getloadavg()[0]:.1f}, processors: {len(os.sched_getaffinity(0))}")
        few = measure(folder, "ten thousand", 10_000, CASES[2][1], same=True)
        measure(folder, "none", 0, CASES[0][1], same=True)
        bare = start(folder)
        print(f"ten thousand take {few - bare:.3f} s more than the start of the interpreter, {bare:.3f} s")


if __name__ == "__main__":
    main()
