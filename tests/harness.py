"""Driving real programs from tests: run one, start one, wait for a state, find the original to compare with."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

BIN = Path(sys.executable).parent
PATH = f"{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# Ends only a wait in vain: a tree of twelve Pythons takes a while on a machine with twenty others at work.
DEADLINE = 60.0

Value = TypeVar("Value")
Word = str | bytes | Path


@dataclass(frozen=True)
class Result:
    """What a program did: exit code (negative: the signal that ended it), standard output, standard error."""

    code: int
    out: bytes
    err: bytes


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment with our programs first on PATH; what Python is to do with warnings is as for the tests."""
    warnings = {name: os.environ[name] for name in ("PYTHONWARNINGS",) if name in os.environ}
    return {"PATH": PATH, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8", **warnings, **(more or {})}


def run(
    argv: Sequence[Word],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = DEADLINE,
) -> Result:
    """Run a program to its end. `env` is added to `environment()`."""
    with _filled(stdin) as source:
        done = subprocess.run(
            argv,
            stdin=source,
            input=stdin if source is None else None,
            env=environment(env),
            cwd=cwd,
            timeout=timeout,
            capture_output=True,
            check=False,
        )
    return Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def _filled(stdin: bytes) -> Iterator[int | None]:
    """A pipe with all of it, so that no program finds its input wanting, however late its writer is; None if too long.

    A page always fits into a pipe.
    """
    if len(stdin) > resource.getpagesize():
        yield None
        return
    reading, writing = os.pipe()
    try:
        os.write(writing, stdin)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


# What a look at something that is still coming may raise: no such file or process yet, an empty line, too few words.
NOT_YET = (OSError, AssertionError, LookupError, ValueError, psutil.Error)


def until(seen: Callable[[], Value], seconds: float = DEADLINE, what: str = "") -> Value:
    """Poll until `seen()` is true (what it raises of NOT_YET counts as not yet) and return it, or fail."""
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            value = seen()
            if value:
                return value
            last = value
        except NOT_YET as error:
            last = error
        if time.monotonic() > deadline:
            pytest.fail(f"not seen within {seconds} s: {what or getattr(seen, '__name__', seen)} (last: {last!r})")
        time.sleep(0.01)


def original(name: str) -> str:
    """The path of the original program, which is never one of ours; skips the test where it is not installed."""
    for folder in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"):
        path = Path(folder) / name
        if path.exists() and b"svtree.multicall" not in path.read_bytes()[:1024]:
            return str(path)
    pytest.skip(f"the original {name} is not installed")


def ours(name: str) -> str:
    """The path of our program."""
    return str(BIN / name)


# What free_port has given away: open until this process ends.
claims: list[socket.socket] = []


def free_port(among: Sequence[int] = ()) -> int:
    """A TCP port that is free, and that no other test of this machine is given while this run lasts.

    Without `among` it lies below the ports that the kernel gives to clients and to servers that ask for port 0: one
    of those would be somebody else's as soon as this probe is closed. An abstract Unix socket of its name, kept until
    the process ends, is the claim that the other workers see.
    """
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    below = range(10000, first_given) if first_given > 11000 else range(61000, 65500)
    for port in random.sample(among or below, len(among or below)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0svtree-test-port-{port}")
            with contextlib.closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", port))
        except OSError:
            claim.close()
            continue
        claims.append(claim)
        return port
    pytest.fail("no port is free")


def lone_account() -> int:
    """A uid that has no process, and that no test beside this one is given: it is made of our pid."""
    return 20_000 + os.getpid() % 40_000


class Processes:
    """Programs a test has started; all are ended and reaped when it is over."""

    def __init__(self) -> None:
        self._all: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        argv: Sequence[Word],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program in the background. `env` is added to `environment()`."""
        process = subprocess.Popen(
            argv, env=environment(env), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
        )
        self._all.append(process)
        return process

    def end(self) -> None:
        """TERM, then KILL; close the pipes."""
        for process in self._all:
            if process.poll() is None:
                process.terminate()
        for process in self._all:
            try:
                # As long as it takes: one that is killed leaves what it has started to nobody.
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
