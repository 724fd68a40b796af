"""Connections a second and CPU a connection: our tcpserver beside the C one, in the same minute on the same machine.

    python -m bench.bench_tcpserver [seconds of each measurement, default 1.5]

Rounds alternate between the two, so that whatever else the machine does hits both. The clients are two processes that
connect, talk and close, one connection after another; they share the machine with the server, so that ratios of
connections a second are pulled towards 1. CPU a connection is the server's alone, its children's included.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROUNDS = 3
CLIENTS = 2
OURS = str(Path(sys.executable).parent / "tcpserver")
BIN = str(Path(sys.executable).parent)
ORIGINAL = "/usr/bin/tcpserver"
PLAIN = ("-H", "-R", "-l", "0", "-c", "100")

# What an SMTP server says to a client that says nothing, and no more.
HANDLER = r"""
#include <string.h>
#include <unistd.h>
int main(void) {
  char line[512];
  if (write(1, "220 host.example ESMTP\r\n", 24) != 24) return 1;
  if (read(0, line, sizeof line) <= 0) return 1;
  if (write(1, "221 host.example\r\n", 18) != 18) return 1;
  return 0;
}
"""


@dataclass(frozen=True)
class Measured:
    """One measurement."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class Case:
    """A server to measure: its command but for address and handler, the handler, and what a client does."""

    label: str
    server: Sequence[str]
    handler: Sequence[str]
    talk: Callable[[socket.socket], None]
    path: str = "/usr/bin:/bin"


def refused(client: socket.socket) -> None:
    """Be shown out."""
    with contextlib.suppress(ConnectionResetError):
        client.recv(64)


def quits(client: socket.socket) -> None:
    """Take the greeting and say QUIT."""
    client.recv(512)
    client.sendall(b"QUIT\r\n")
    while client.recv(512):
        pass


def connect_for(
    seconds: float, port: int, talk: Callable[[socket.socket], None], done: multiprocessing.Queue[int]
) -> None:
    """Make one connection after another for a while; put their number."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        with socket.socket() as client:
            client.connect(("127.0.0.1", port))
            talk(client)
        count += 1
    done.put(count)


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that a process, its living and its reaped children have used."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextlib.contextmanager
def serving(case: Case, environ: dict[str, str]) -> Iterator[tuple[psutil.Process, int]]:
    """Run a server; yield it and its port."""
    command = [*case.server, *PLAIN, "-1", "127.0.0.1", "0", *case.handler]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**environ, "PATH": case.path}) as process:
        assert process.stdout is not None
        try:
            yield psutil.Process(process.pid), int(process.stdout.readline())
        finally:
            process.terminate()


def measure(case: Case, environ: dict[str, str], seconds: float) -> Measured:
    """Connect to a fresh server for so many seconds."""
    with serving(case, environ) as (process, port):
        with socket.create_connection(("127.0.0.1", port)) as first:
            case.talk(first)
        context = multiprocessing.get_context("fork")
        done: multiprocessing.Queue[int] = context.Queue()
        before = cpu_of(process)
        began = time.monotonic()
        clients = [context.Process(target=connect_for, args=(seconds, port, case.talk, done)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        count = sum(done.get() for _ in clients)
        for client in clients:
            client.join()
        return Measured(count / (time.monotonic() - began), (cpu_of(process) - before) / count)


def compare(title: str, original: Case, ours: Sequence[Case], environ: dict[str, str], seconds: float) -> None:
    """Measure in turns and print medians and ratios."""
    cases = (original, *ours)
    results: dict[str, list[Measured]] = {case.label: [] for case in cases}
    for _ in range(ROUNDS):
        for case in cases:
            results[case.label].append(measure(case, environ, seconds))
    print(f"\n{title}")
    rate, cpu = (median(results[original.label], field) for field in ("rate", "cpu"))
    for case in cases:
        mine, used = (median(results[case.label], field) for field in ("rate", "cpu"))
        print(f"  {case.label:44} {mine:7.0f}/s {mine / rate:6.2f}x   {used * 1e6:6.0f} us CPU {cpu / used:6.2f}x")


def median(measured: Sequence[Measured], field: str) -> float:
    """The middle one of some measurements."""
    return statistics.median(getattr(each, field) for each in measured)


def prepare(folder: Path) -> str:
    """Make rules, a qmail directory and the C handler; return the handler's path."""
    (folder / "control").mkdir()
    (folder / "control/me").write_text("host.example\n")
    (folder / "rcpthosts").write_text("host.example\n")
    for name, rules in (("deny", "127.:deny\n:allow\n"), ("allow", '127.:allow,RELAYCLIENT=""\n:allow\n')):
        compile_rules = [f"{BIN}/tcprules", folder / f"{name}.cdb", folder / f"{name}.tmp"]
        subprocess.run(compile_rules, input=rules.encode(), check=True)
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return "/bin/true"
    (folder / "handler.c").write_text(HANDLER)
    subprocess.run([compiler, "-O2", "-o", folder / "handler", folder / "handler.c"], check=True)
    return str(folder / "handler")


def main() -> int:
    """Print three comparisons."""
    if not os.access(ORIGINAL, os.X_OK):
        print("bench_tcpserver: skipped: the original tcpserver is not installed")
        return 0
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    with tempfile.TemporaryDirectory(prefix="sv-") as name:
        folder = Path(name)
        handler = prepare(folder)
        quitting = refused if handler == "/bin/true" else quits
        environ = {"QMAILHOME": name, "LC_ALL": "C.UTF-8"}
        deny, allow = ["-x", f"{name}/deny.cdb"], ["-x", f"{name}/allow.cdb"]
        ours_first = f"{BIN}:/usr/bin:/bin"
        compare(
            "denied by the rules (goal: 4x)",
            Case("C tcpserver", [ORIGINAL, *deny], ["/bin/true"], refused),
            [Case("ours", [OURS, *deny], ["/bin/true"], refused)],
            environ,
            seconds,
        )
        smtpd = ["qmail-smtpd"]
        compare(
            "allowed, greeting and QUIT (goals: C handler 1x, workers beyond)",
            Case("C tcpserver, C handler", [ORIGINAL, *allow], [handler], quitting),
            [
                Case("ours, C handler", [OURS, *allow], [handler], quitting),
                Case("ours, our qmail-smtpd forked", [OURS, *allow], smtpd, quits, ours_first),
                Case("ours, our qmail-smtpd in 4 workers", [OURS, *allow, "--workers", "4"], smtpd, quits, ours_first),
                Case("C tcpserver, our qmail-smtpd", [ORIGINAL, *allow], smtpd, quits, ours_first),
            ],
            environ,
            seconds,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
