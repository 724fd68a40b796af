"""The supervisor beside daemontools': memory, idle time, bring-up, and how long a killed service is away.

    python -m bench.bench_supervision [pairs of service and logger, default 100]

Every pair is `sleep` with `cat` as its logger. Rounds alternate between the two. Memory is PSS, the supervisor's own
processes only: one of ours, a supervise for every service and logger and an svscan of theirs. Ratios above 1 mean that
ours is better.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from svtree.formats.status import StatusError
from svtree.supervision import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = str(Path(sys.executable).parent)
ORIGINAL = "/usr/bin/svscan"
SIDES = {"ours": f"{BIN}:/usr/bin:/bin", "daemontools": "/usr/bin:/bin"}
ROUNDS = 2
KILLS = 40
IDLE = 15.0


@dataclass
class Figures:
    """Of one side in one round: seconds, MB, per cent of a core, milliseconds."""

    up: float
    memory: float
    idle: float
    restart: float


def pid_of(service: Path) -> int:
    """The service's process, 0 if it has none now."""
    try:
        ask.knock(bytes(service))
        return ask.look(bytes(service)).pid
    except (OSError, StatusError):
        return 0


def others_than(service: Path, pid: int) -> int:
    """Wait for another process than `pid`; busily, since milliseconds count here."""
    while (found := pid_of(service)) in (0, pid):
        pass
    return found


def make(folder: Path, pairs: int) -> list[Path]:
    services = []
    for number in range(pairs):
        service = folder / f"s{number:04}"
        (service / "log").mkdir(parents=True)
        for run, program in ((service / "run", "sleep 100000"), (service / "log" / "run", "cat")):
            run.write_text(f"#!/bin/sh\nexec {program}\n")
            run.chmod(0o755)
        services += [service, service / "log"]
    return services


@contextlib.contextmanager
def scanned(folder: Path, path: str) -> Iterator[psutil.Process]:
    """svscan over the folder; at the end nothing of it is left."""
    argv = [shutil.which("svscan", path=path) or "svscan", str(folder)]
    with subprocess.Popen(argv, env={"PATH": path}, stdout=subprocess.DEVNULL, start_new_session=True) as scanner:
        process = psutil.Process(scanner.pid)
        try:
            yield process
        finally:
            everybody = [process, *process.children(recursive=True)]
            scanner.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                scanner.wait(60)
            for each in everybody:
                with contextlib.suppress(psutil.Error):
                    each.kill()


def supervisors(scanner: psutil.Process) -> list[psutil.Process]:
    return [scanner, *(each for each in scanner.children(recursive=True) if each.name() == "supervise")]


def used(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def measure(path: str, pairs: int) -> Figures:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        services = make(folder, pairs)
        begin = time.perf_counter()
        with scanned(folder, path) as scanner:
            while not all(pid_of(service) for service in services):
                time.sleep(0.02)
            up = time.perf_counter() - begin
            time.sleep(2)
            kept = supervisors(scanner)
            memory = sum(each.memory_full_info().pss for each in kept) / 1e6
            before = used(kept)
            time.sleep(IDLE)
            idle = 100 * (used(kept) - before) / IDLE
            away = []
            for service in services[::2][:KILLS]:
                pid = pid_of(service)
                killed = time.perf_counter()
                os.kill(pid, signal.SIGKILL)
                others_than(service, pid)
                away.append(1000 * (time.perf_counter() - killed))
    return Figures(up, memory, idle, statistics.median(away))


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    sides = SIDES if Path(ORIGINAL).exists() else {"ours": SIDES["ours"]}
    found: dict[str, list[Figures]] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, path in sides.items():
            found[side].append(measure(path, pairs))
    titles = {"up": "bring-up, s", "memory": "memory, MB", "idle": "idle, % of a core", "restart": "restart p50, ms"}
    print(f"{pairs} services, {pairs} loggers" + "".join(f"{side:>14}" for side in sides) + f"{'ratio':>8}")
    for figure, title in titles.items():
        values = [statistics.median(getattr(each, figure) for each in found[side]) for side in sides]
        # Idle time is counted in clock ticks: none at all is less than one.
        least = 100 * 0.01 / IDLE / 2 if figure == "idle" else 0.0
        ratio = f"{values[1] / max(values[0], least):8.2f}" if len(values) > 1 else ""
        print(f"{title:25}" + "".join(f"{value:14.3f}" for value in values) + ratio)


if __name__ == "__main__":
    main()
