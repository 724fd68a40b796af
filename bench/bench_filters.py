"""The programs that read and write a stream, beside the originals: megabytes a second.

    python -m bench.bench_filters [megabytes, default 60]

Rounds alternate between the two, through pipes on both sides. Ratios above 1 mean that ours is faster.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
BIN = Path(sys.executable).parent
LINE = b"x" * 79 + b"\n"
LABELLED = b"@%016x%08x " + b"x" * 53 + b"\n"
EPOCH = (1 << 62) + 10 + 1_790_000_000
CASES = (
    ("tai64n", "plain", ()),
    ("tai64nlocal", "labelled", ()),
    ("addcr", "plain", ()),
    ("delcr", "plain", ()),
    ("fixcrio", "plain", ("cat",)),
    ("recordio", "plain", ("cat",)),
)


def write(folder: Path, size: int) -> dict[str, Path]:
    """The inputs: lines of 80 bytes without and with a label."""
    lines = size // 80
    plain, labelled = folder / "plain", folder / "labelled"
    plain.write_bytes(LINE * lines)
    labelled.write_bytes(b"".join(LABELLED % (EPOCH + at // 1000, at % 1000) for at in range(lines)))
    return {"plain": plain, "labelled": labelled}


def seconds(argv: list[str], data: Path) -> float:
    """Wall time from the first byte in to the last byte out."""
    begin = time.perf_counter()
    with (
        subprocess.Popen(["cat", str(data)], stdout=subprocess.PIPE) as source,
        subprocess.Popen(argv, stdin=source.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program,
    ):
        subprocess.run(["cat"], stdin=program.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main() -> None:
    size = int(sys.argv[1]) * 1_000_000 if len(sys.argv) > 1 else 60_000_000
    with tempfile.TemporaryDirectory() as name:
        inputs = write(Path(name), size)
        print(f"{'':14}{'ours MB/s':>10}{'C MB/s':>10}{'ratio':>8}")
        for program, kind, words in CASES:
            original = Path("/usr/bin") / program
            if not original.exists():
                print(f"{program:14} the original is not installed")
                continue
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS):
                ours.append(seconds([str(BIN / program), *words], inputs[kind]))
                theirs.append(seconds([str(original), *words], inputs[kind]))
            mine, other = statistics.median(ours), statistics.median(theirs)
            print(f"{program:14}{size / mine / 1e6:10.0f}{size / other / 1e6:10.0f}{other / mine:8.2f}")


if __name__ == "__main__":
    main()
