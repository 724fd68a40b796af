"""svstat of many directories in one call beside the original.

    python -m bench.bench_svstat [directories, default 500]

Every directory has a status and a FIFO `ok` that is held open here, so that no supervisor is in the way. Both take
turns, and the best round of each counts: what else the machine does only adds. The aim is to be no more than 20 ms
behind, the start of the interpreter included.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from svtree.formats.status import RUNNING, UP, Status

ORIGINAL = "/usr/bin/svstat"
OURS = str(Path(sys.executable).parent / "svstat")
ROUNDS = 25
ALLOWED = 20.0


def make(folder: Path, count: int) -> tuple[list[str], list[int]]:
    """Directories as a supervisor leaves them, and the FIFOs that stand for it."""
    status = Status(time.time_ns(), os.getpid(), False, UP, False, RUNNING).pack()
    directories, held = [], []
    for number in range(count):
        directory = folder / f"service{number:04}"
        (directory / "supervise").mkdir(parents=True)
        (directory / "supervise" / "status").write_bytes(status)
        os.mkfifo(directory / "supervise" / "ok")
        held.append(os.open(directory / "supervise" / "ok", os.O_RDONLY | os.O_NONBLOCK))
        directories.append(str(directory))
    return directories, held


def milliseconds(argv: list[str]) -> tuple[float, float]:
    """Wall time and CPU time of one call."""
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    begin = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=quiet)
    _, code, used = os.wait4(pid, 0)
    if code:
        sys.exit(f"bench_svstat: {argv[0]} failed")
    return (time.perf_counter() - begin) * 1000, (used.ru_utime + used.ru_stime) * 1000


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    if not Path(ORIGINAL).exists():
        sys.exit("bench_svstat: the original svstat is not installed")
    with tempfile.TemporaryDirectory() as name:
        directories, held = make(Path(name), count)
        times: dict[str, list[tuple[float, float]]] = {ORIGINAL: [], OURS: []}
        for _ in range(ROUNDS):
            for program, found in times.items():
                found.append(milliseconds([program, *directories]))
        for descriptor in held:
            os.close(descriptor)
    for at, what in enumerate(("wall", "CPU")):
        theirs, ours = (min(each[at] for each in times[program]) for program in (ORIGINAL, OURS))
        print(
            f"svstat of {count} directories, {what}: C {theirs:.1f} ms, ours {ours:.1f} ms,"
            f" {ours - theirs:.1f} more (allowed {ALLOWED:.0f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
