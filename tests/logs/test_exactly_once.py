"""Every line is in the log exactly once, whenever the logger is killed.

Two ways to look: a logger that is killed at each of its system calls in turn, in this process, and a real multilog
that gets a real SIGKILL at random moments while another process writes without a pause.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from svtree.formats import logscript
from svtree.logs import delivery, directory, intake, logger
from tests.harness import DEADLINE, environment, until

Contents = Callable[[Path], bytes]
# What a kill can come before, and, where it writes, in the middle of.
CALLS = (
    "write",
    "pwrite",
    "splice",
    "rename",
    "link",
    "unlink",
    "ftruncate",
    "truncate",
    "fsync",
    "fchmod",
    "chmod",
    "open",
)


class KilledError(BaseException):
    """SIGKILL, as far as the code under test can tell: nothing of it runs afterwards."""


def descriptors() -> set[int]:
    """What is open, without the descriptor that looking takes."""
    return {number for number in map(int, os.listdir("/proc/self/fd")) if Path(f"/proc/self/fd/{number}").exists()}


class Kernel:
    """`os`, with a kill before, in the middle of or after the call number `fatal`; counts the calls."""

    def __init__(self, fatal: int, half: bool) -> None:
        self.count = 0
        self._fatal = fatal
        self._half = half

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*arguments: object, **keywords: object) -> object:
            self.count += 1
            if self.count == self._fatal:
                if self._half and name == "write":
                    # The kernel ends a long write between two pages when SIGKILL comes.
                    real(arguments[0], memoryview(arguments[1])[: len(arguments[1]) // 2])  # type: ignore[arg-type]
                raise KilledError
            return real(*arguments, **keywords)

        return call


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool, tuple[bytes, ...], int], int]:
    """Run a logger on a pipe until its input is used up or it is killed; returns the number of calls it made."""

    def run(fatal: int, half: bool, script: tuple[bytes, ...], source: int) -> int:
        kernel = Kernel(fatal, half)
        with monkeypatch.context() as patch:
            # Small, so that the input takes several turns, lines do not end where blocks do, and the spool begins anew.
            patch.setattr(logger, "BLOCK", 777)
            patch.setattr(intake, "MOST", intake.PAGE + 1800)
            for module in (delivery, directory, intake, logger):
                if hasattr(module, "os"):
                    patch.setattr(module, "os", kernel)
            before = descriptors()
            made = None
            try:
                made = logger.Logger(logscript.parse(script), {}, source)
                made.run()
            except KilledError:
                pass
            finally:
                if made is not None and kernel.count < fatal:
                    made.close()
        for descriptor in descriptors() - before:
            os.close(descriptor)
        return kernel.count

    return run


@pytest.fixture
def inside(folder: Path) -> Iterator[Path]:
    """The folder as the current directory."""
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


LINES = b"".join(b"%04d %s\n" % (number, b"x" * (number * 37 % 90)) for number in range(70))
LONG = b"first\n" + b"".join(b"%05d," % number for number in range(1000)) + b"\nlast\npartial"
SCRIPTS = [
    ((b"s4096", b"n999", b"./main"), LINES),
    ((b"t", b"s4096", b"n999", b"./main"), LINES),
    ((b"s4096", b"n999", b"./main", b"s6000", b"./main2", b"-*5*", b"./main3"), LINES),
    ((b"s4096", b"n999", b"./main"), LONG),
]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("case", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_kill_at_any_system_call_loses_and_doubles_nothing(
    inside: Path,
    contents: Contents,
    killed_at: Callable[[int, bool, tuple[bytes, ...], int], int],
    case: tuple[tuple[bytes, ...], bytes],
    half: bool,
) -> None:
    script, data = case
    fatal = 1
    while True:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        calls = killed_at(fatal, half, script, reader)
        if calls >= fatal:
            killed_at(10**9, half, script, reader)
        os.close(reader)
        for name in sorted(word.decode() for word in script if word[:1] == b"."):
            logged = contents(inside / name)
            if b"t" in script:
                logged = b"".join(line[26:] for line in logged.splitlines(keepends=True))
            wanted = b"".join(x for x in data.splitlines(keepends=True) if name != "./main3" or b"5" not in x)
            ending = b"" if wanted.endswith(b"\n") else b"\n"
            assert logged == wanted + ending, f"killed at call {fatal}: {name}"
            subprocess.run(["rm", "-r", name], check=True)
        if calls < fatal:
            assert fatal > 20
            return
        fatal += 1


# Forks multilogs that are loaded already, so that a hundred kills take a few seconds, and kills them at random.
KILLER = """
import os, random, signal, sys, time
from svtree.multicall import call, load
load("multilog")
random.seed(int(sys.argv[1]))
for turn in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        os._exit(call("multilog", [b"multilog", *map(os.fsencode, sys.argv[3:])], {}))
    time.sleep(random.random() ** 2 * 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
os.execv(sys.executable, [sys.executable, "-c", "from svtree.multicall import run; run('multilog')", *sys.argv[3:]])
"""
WRITER = """
import os, sys
number = 0
while os.path.exists("go"):
    lines = b"".join(b"%d\\n" % n for n in range(number, number + 50))
    os.write(1, lines)
    number += 50
os.write(1, b"end\\n")
"""


@pytest.mark.parametrize("script", [("./main",), ("t", "./main"), ("t", "s4096", "./main", "-*7", "./sevens")])
def test_a_hundred_kills_under_a_continuous_writer(folder: Path, contents: Contents, script: tuple[str, ...]) -> None:
    os.mkfifo(folder / "fifo")
    # Held open here as the supervisor holds it, so that nobody sees its end while the logger is dead.
    pipe = os.open(folder / "fifo", os.O_RDWR)
    (folder / "go").touch()
    seed = str(random.randrange(10**6))
    words = ["n100000", *script] if script[0] != "t" else ["t", "n100000", *script[1:]]
    writer = subprocess.Popen([sys.executable, "-c", WRITER], cwd=folder, stdout=pipe, env=environment())
    killer = subprocess.Popen(
        [sys.executable, "-c", KILLER, seed, "120", *words], cwd=folder, stdin=pipe, env=environment()
    )
    try:
        until(lambda: done(killer.pid), 5 * DEADLINE)
        (folder / "go").unlink()
        assert writer.wait(DEADLINE) == 0
        until(lambda: contents(folder / "main").endswith(b"end\n"))
    finally:
        killer.terminate()
        writer.kill()
        assert killer.wait(DEADLINE) == 0
        writer.wait()
        os.close(pipe)
    logged = [line[26:] if script[0] == "t" else line for line in contents(folder / "main").splitlines()]
    assert logged == [b"%d" % number for number in range(len(logged) - 1)] + [b"end"], f"seed {seed}"
    assert len(logged) > 1000


def done(pid: int) -> bool:
    """The killer has become the last multilog."""
    return b"\0from svtree" in Path(f"/proc/{pid}/cmdline").read_bytes()
