"""multilog beside the original: megabytes a second, and what a kill-proof spool costs.

    python -m bench.bench_multilog [megabytes, default 120]

Rounds alternate between the two. Each reads the same file through a pipe from cat, so that both are fed in blocks of
a pipe; the logs go to the directory in $TMPDIR. Ratios above 1 mean that ours is faster.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
OURS = str(Path(sys.executable).parent / "multilog")
ORIGINAL = "/usr/bin/multilog"
CASES = (
    ("default size, stamps", ["t", "./main"], 80),
    ("16 MB files, stamps", ["t", "s16777215", "./main"], 80),
    ("16 MB files, stamps, short lines", ["t", "s16777215", "./main"], 20),
    ("16 MB files, stamps, patterns", ["t", "s16777215", "-*", "+*abc*", "./main"], 80),
    ("default size, no stamps", ["./main"], 80),
)


def seconds(program: str, script: list[str], data: Path, folder: Path) -> tuple[float, float]:
    """Wall time and CPU time of one run."""
    shutil.rmtree(folder / "main", ignore_errors=True)
    before = os.times()
    begin = time.perf_counter()
    with subprocess.Popen(["cat", str(data)], stdout=subprocess.PIPE) as source:
        subprocess.run([program, *script], cwd=folder, stdin=source.stdout, check=True)
    wall = time.perf_counter() - begin
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def write(path: Path, size: int, width: int) -> None:
    """Lines of `width` bytes, one in eight with "abc" in it."""
    lines = [(b"abc" if number % 8 == 0 else b"xyz") * 40 for number in range(64)]
    block = b"".join(line[: width - 1] + b"\n" for line in lines)
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block * 64)


def main() -> None:
    size = int(sys.argv[1]) * 1_000_000 if len(sys.argv) > 1 else 120_000_000
    if not Path(ORIGINAL).exists():
        sys.exit("bench_multilog: the original multilog is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        print(f"{'':34}{'ours MB/s':>10}{'C MB/s':>10}{'ratio':>8}{'CPU ratio':>11}")
        for title, script, width in CASES:
            write(data, size, width)
            runs: dict[str, list[tuple[float, float]]] = {ORIGINAL: [], OURS: []}
            for _ in range(ROUNDS):
                for program, found in runs.items():
                    found.append(seconds(program, script, data, folder))
            wall = {program: statistics.median(each[0] for each in found) for program, found in runs.items()}
            cpu = {program: statistics.median(each[1] for each in found) for program, found in runs.items()}
            total = data.stat().st_size / 1e6
            print(
                f"{title:34}{total / wall[OURS]:10.0f}{total / wall[ORIGINAL]:10.0f}"
                f"{wall[ORIGINAL] / wall[OURS]:8.2f}{cpu[ORIGINAL] / cpu[OURS]:11.2f}"
            )


if __name__ == "__main__":
    main()
