"""Connections a second and CPU a connection: our tcpserver beside the C one, in the same minute on the same machine.

    python -m bench.bench_tcpserver [seconds of each measurement, default 1]
    python -m bench.bench_tcpserver soak [connections, default 1000000]

The second shows our tcpserver's memory and descriptors as connections go by, half of the time to a server that denies
them, half of the time to one that serves them by four workers.

Rounds alternate between the two, so that whatever else the machine does hits both; ratios are medians of the rounds'
own. Beside them stands what forking costs whatever the language: a C program that has as much memory as our tcpserver,
in as many mappings, and forks for each connection, whose child says the two lines and exits; and the same with as many
pages written in the child as a session in Python writes, since each is copied then (ADR 12). The clients are two
processes that connect, talk and close, one connection after another; they share the machine with the server, so that
ratios of connections a second are pulled towards 1, less so where a C compiler makes the clients cheap. CPU a
connection is the server's alone, its children's included.
"""

from __future__ import annotations

import contextlib
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
    from collections.abc import Iterator, Sequence

ROUNDS = 5
AS_CLIENT = "client"
SOAK = "soak"
CLIENTS = 2
OURS = str(Path(sys.executable).parent / "tcpserver")
BIN = str(Path(sys.executable).parent)
ORIGINAL = "/usr/bin/tcpserver"
QUIT = "QUIT\r\n"
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

# Forks for each connection: how many kB it has, in how many mappings, how many pages a child writes. Prints its port.
FLOOR = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof here;
  char line[512], **piece;
  int s = socket(AF_INET, SOCK_STREAM, 0);
  if (argc < 4) return 100;
  long pages = atol(argv[1]) / 4, mappings = atol(argv[2]), written = atol(argv[3]), each = pages / mappings;
  piece = malloc(mappings * sizeof *piece);
  for (long i = 0; i < mappings; ++i) {
    /* A page that may not be touched, so that the kernel does not make one mapping of all. */
    piece[i] = mmap(0, (each + 1) * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece[i] == MAP_FAILED || mprotect(piece[i], each * 4096, PROT_READ | PROT_WRITE)) return 111;
    memset(piece[i], 1, each * 4096);
  }
  if (bind(s, (struct sockaddr *) &here, size) || listen(s, 20) || getsockname(s, (struct sockaddr *) &here, &size))
    return 111;
  printf("%d\n", ntohs(here.sin_port));
  fflush(stdout);
  for (;;) {
    int client = accept(s, 0, 0);
    if (client < 0) return 111;
    if (!fork()) {
      for (long i = 0; i < written; ++i) piece[i % mappings][i / mappings % each * 4096] = 2;
      if (write(client, "220 host.example ESMTP\r\n", 24) == 24 && read(client, line, sizeof line) > 0)
        if (write(client, "221 host.example\r\n", 18) == 18) _exit(0);
      _exit(1);
    }
    close(client);
    while (waitpid(-1, 0, WNOHANG) > 0) {}
  }
}
"""
# As our tcpserver is: kB of memory of its own, mappings that a fork copies, pages that a session writes.
SIZE = ("6000", "40", "0")
WRITES = "400"

# A client that makes one connection after another: port, seconds, what to say. It prints how many it has made.
CLIENT = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
int main(int argc, char **argv) {
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char answer[512];
  long count = 0;
  if (argc != 4) return 100;
  there.sin_port = htons(atoi(argv[1]));
  for (double end = now() + atof(argv[2]); now() < end; ++count) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *) &there, sizeof there)) return 111;
    if (*argv[3]) {
      if (read(s, answer, sizeof answer) <= 0 || write(s, argv[3], strlen(argv[3])) < 0) return 111;
    }
    while (read(s, answer, sizeof answer) > 0) {}
    close(s);
  }
  printf("%ld\n", count);
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
    """A server to measure: its command but for address and handler, the handler, and what a client says to it."""

    label: str
    server: Sequence[str]
    handler: Sequence[str]
    say: str
    path: str = "/usr/bin:/bin"
    goal: str = ""


def connect(port: int, seconds: float, say: str) -> int:
    """The client in Python: make one connection after another for a while; return their number."""
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        with socket.create_connection(("127.0.0.1", port)) as client, contextlib.suppress(ConnectionResetError):
            if say:
                client.recv(512)
                client.sendall(say.encode())
            while client.recv(512):
                pass
        count += 1
    return count


def client_command(folder: Path) -> list[str]:
    """The client, in C if possible."""
    compiled = compile_c(folder, "client", CLIENT)
    return [compiled] if compiled else [sys.executable, __file__, AS_CLIENT]


def compile_c(folder: Path, name: str, source: str) -> str | None:
    """The path of a small C program, None without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    (folder / f"{name}.c").write_text(source)
    subprocess.run([compiler, "-O2", "-o", folder / name, folder / f"{name}.c"], check=True)
    return str(folder / name)


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
    command = [*case.server, *PLAIN, "-1", "127.0.0.1", "0", *case.handler] if case.handler else [*case.server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**environ, "PATH": case.path}) as process:
        assert process.stdout is not None
        try:
            yield psutil.Process(process.pid), int(process.stdout.readline())
        finally:
            process.terminate()


def measure(case: Case, client: Sequence[str], environ: dict[str, str], seconds: float) -> Measured:
    """Connect to a fresh server for so many seconds."""
    with serving(case, environ) as (process, port):
        connect(port, 0.01, case.say)
        before = cpu_of(process)
        began = time.monotonic()
        command = [*client, str(port), str(seconds), case.say]
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(CLIENTS)]
        count = sum(int(each.communicate()[0]) for each in clients)
        return Measured(count / (time.monotonic() - began), (cpu_of(process) - before) / count)


def compare(title: str, cases: Sequence[Case], client: Sequence[str], environ: dict[str, str], seconds: float) -> None:
    """Measure in turns and print medians, and ratios to the first case."""
    results: dict[str, list[Measured]] = {case.label: [] for case in cases}
    for _ in range(ROUNDS):
        for case in cases:
            results[case.label].append(measure(case, client, environ, seconds))
    print(f"\n{title}; load average {os.getloadavg()[0]:.1f}")
    theirs = results[cases[0].label]
    for case in cases:
        ours = results[case.label]
        found = median(ours)
        rate = statistics.median(mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True))
        cpu = statistics.median(other.cpu / mine.cpu for mine, other in zip(ours, theirs, strict=True))
        goal = f"   goal {case.goal}x" if case.goal else ""
        print(f"  {case.label:46} {found.rate:7.0f}/s {rate:6.2f}x   {found.cpu * 1e6:6.0f} us CPU {cpu:6.2f}x{goal}")


def median(measured: Sequence[Measured]) -> Measured:
    """The middle rate and the middle cost of some measurements."""
    return Measured(statistics.median(each.rate for each in measured), statistics.median(each.cpu for each in measured))


def soak(client: Sequence[str], environ: dict[str, str], folder: Path, count: int) -> None:
    """Make so many connections, by turns to a server that denies and to one that serves, and show what they take."""
    first = f"{BIN}:/usr/bin:/bin"
    limits = ["--rate", "10000000/1", "--max-per-ip", "1000"]
    cases = [
        Case("denied", [OURS, "-x", f"{folder}/deny.cdb", *limits], ["/bin/true"], ""),
        Case("served", [OURS, "-x", f"{folder}/allow.cdb", *limits, "--workers", "4"], ["qmail-smtpd"], QUIT, first),
    ]
    with contextlib.ExitStack() as stack:
        servers = [(case, *stack.enter_context(serving(case, environ))) for case in cases]
        made = dict.fromkeys((case.label for case in cases), 0)
        while sum(made.values()) < count:
            for case, process, port in servers:
                command = [*client, str(port), "5", case.say]
                clients = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(CLIENTS)]
                made[case.label] += sum(int(each.communicate()[0]) for each in clients)
                size = process.memory_info().rss / (1 << 20)
                print(
                    f"  {case.label} {made[case.label]:8}: {size:5.1f} MB, {process.num_fds()} descriptors", flush=True
                )


def prepare(folder: Path) -> None:
    """Make rules and a qmail directory."""
    (folder / "control").mkdir()
    (folder / "control/me").write_text("host.example\n")
    (folder / "control/rcpthosts").write_text("host.example\n")
    for name, rules in (("deny", "127.:deny\n:allow\n"), ("allow", '127.:allow,RELAYCLIENT=""\n:allow\n')):
        compile_rules = [f"{BIN}/tcprules", f"{folder}/{name}.cdb", f"{folder}/{name}.tmp"]
        subprocess.run(compile_rules, input=rules.encode(), check=True)


def denied(folder: str) -> list[Case]:
    """Nobody is let in."""
    theirs, ours = ([program, "-x", f"{folder}/deny.cdb"] for program in (ORIGINAL, OURS))
    return [
        Case("C tcpserver", theirs, ["/bin/true"], ""),
        Case("ours", ours, ["/bin/true"], "", goal="4"),
    ]


def allowed(folder: str, small: str | None) -> list[Case]:
    """Everybody is: by C programs, by ours, and by as little as a fork can be."""
    theirs, ours = ([program, "-x", f"{folder}/allow.cdb"] for program in (ORIGINAL, OURS))
    first = f"{BIN}:/usr/bin:/bin"
    handler, say = ([small], QUIT) if small else (["/bin/true"], "")
    smtpd = ["qmail-smtpd"]
    cases = [
        Case("C tcpserver, C handler", theirs, handler, say),
        Case("ours, C handler", ours, handler, say, goal="1.0"),
        Case("ours, our qmail-smtpd forked", ours, smtpd, QUIT, first, goal="0.75"),
        Case("ours, our qmail-smtpd in 4 workers", [*ours, "--workers", "4"], smtpd, QUIT, first, goal="3"),
        Case("C tcpserver, our qmail-smtpd", theirs, smtpd, QUIT, first),
    ]
    if small:
        floor = compile_c(Path(folder), "floor", FLOOR)
        assert floor is not None
        cases += [
            Case("fork of a C process of our size", [floor, *SIZE], [], QUIT),
            Case("the same, its pages written as by Python", [floor, *SIZE[:2], WRITES], [], QUIT),
        ]
    return cases


def main() -> int:
    """Print two comparisons, or what many connections leave behind."""
    if not os.access(ORIGINAL, os.X_OK):
        print("bench_tcpserver: skipped: the original tcpserver is not installed")
        return 0
    if sys.argv[1:2] == [AS_CLIENT]:
        print(connect(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
        return 0
    soaking = sys.argv[1:2] == [SOAK]
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 and not soaking else 1.0
    with tempfile.TemporaryDirectory(prefix="sv-") as name:
        folder = Path(name)
        prepare(folder)
        client = client_command(folder)
        environ = {"QMAILHOME": name, "LC_ALL": "C.UTF-8"}
        if soaking:
            soak(client, environ, folder, int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
            return 0
        small = compile_c(folder, "handler", HANDLER)
        compare("denied by the rules", denied(name), client, environ, seconds)
        compare("allowed: greeting and QUIT", allowed(name, small), client, environ, seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
