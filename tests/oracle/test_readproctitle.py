"""readproctitle beside the original: the same last argument in ps after the same input."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, original, ours, run, until

pytestmark = pytest.mark.oracle
DOTS = "." * 20


def until_shown(pid: int, end: bytes) -> None:
    cmdline = Path(f"/proc/{pid}/cmdline")
    until(lambda: cmdline.read_bytes().endswith(end), what=repr(end))


@pytest.mark.parametrize("arguments", [(), ("....",), ("label", "...."), ("label", ""), ("label", DOTS), (DOTS,)])
def test_the_same_exit_codes_without_a_word(arguments: tuple[str, ...]) -> None:
    assert run([ours("readproctitle"), *arguments], stdin=b"x") == run(
        [original("readproctitle"), *arguments], stdin=b"x"
    )


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"disk full", b"...........disk full"),
        (b"a\nb\n", b"................a\nb\n"),
        (b"nul\0nul", b"..............nulnul"),
        (b"0123456789" * 3000 + b"end", b"...67890123456789end"),
    ],
)
def test_the_end_of_the_input_is_shown_in_the_same_place(processes: Processes, data: bytes, shown: bytes) -> None:
    for program in (original("readproctitle"), ours("readproctitle")):
        started = processes.start([program, "io", "errors:", DOTS], stdin=-1)
        assert started.stdin is not None
        started.stdin.write(data)
        started.stdin.flush()
        until_shown(started.pid, b"io\0errors:\0" + shown + b"\0")
        started.stdin.close()
        assert started.wait(DEADLINE) == 0


def test_what_is_no_dot_becomes_one(processes: Processes) -> None:
    for program in (original("readproctitle"), ours("readproctitle")):
        started = processes.start([program, "errors:", "abcdefgh"], stdin=-1)
        until_shown(started.pid, b"errors:\0........\0")
        assert started.stdin is not None
        started.stdin.close()
        assert started.wait(DEADLINE) == 0
