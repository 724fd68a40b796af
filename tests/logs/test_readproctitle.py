from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from svtree.system.title import Title
from tests.harness import DEADLINE, Processes, ours, run, until


def test_ps_shows_what_came_last(processes: Processes) -> None:
    if shutil.which("ps") is None:
        pytest.skip("there is no ps here")
    started = processes.start([ours("readproctitle"), "service", "errors:", "." * 40], stdin=-1)
    assert started.stdin is not None
    for line in (b"svscan: warning: one\n", b"svscan: warning: two\n"):
        started.stdin.write(line)
        started.stdin.flush()
    until(lambda: b"warning: two" in run(["ps", "-ww", "-o", "args=", "-p", str(started.pid)]).out)
    started.stdin.close()
    assert started.wait(DEADLINE) == 0


def test_a_word_that_is_not_the_end_of_our_command_line_is_left_alone() -> None:
    before = Path("/proc/self/cmdline").read_bytes()
    title = Title(b"no such word stands there")
    title.show(b"X" * 25)
    title.close()
    assert Path("/proc/self/cmdline").read_bytes() == before
