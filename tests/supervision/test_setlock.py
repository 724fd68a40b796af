from __future__ import annotations

from pathlib import Path

import pytest

from svtree.program import UsageError
from svtree.supervision.programs import setlock
from tests.harness import DEADLINE, Processes, ours, run, until


@pytest.mark.parametrize("arguments", [(), (b"lock",), (b"-n", b"lock"), (b"-q", b"lock", b"true")])
def test_it_wants_a_file_and_a_program(arguments: tuple[bytes, ...]) -> None:
    with pytest.raises(UsageError):
        setlock.main([b"setlock", *arguments], {})


def test_who_waits_goes_on_when_the_lock_is_given_back(folder: Path, processes: Processes) -> None:
    first = processes.start([ours("setlock"), "lock", "sleep", "60"], cwd=folder)
    until(lambda: run([ours("setlock"), "-n", "lock", "true"], cwd=folder).code == 111)
    second = processes.start([ours("setlock"), "lock", "sh", "-c", "echo mine > got"], cwd=folder)
    until(lambda: b"setlock" in Path(f"/proc/{second.pid}/cmdline").read_bytes())
    assert not (folder / "got").exists()
    first.kill()
    assert second.wait(DEADLINE) == 0
    assert (folder / "got").read_text() == "mine\n"


def test_the_lock_lasts_as_long_as_a_child_has_the_descriptor(folder: Path, processes: Processes) -> None:
    held = processes.start([ours("setlock"), "lock", "sh", "-c", "sleep 60 & echo $! > pid"], cwd=folder)
    assert held.wait(DEADLINE) == 0
    assert run([ours("setlock"), "-n", "lock", "true"], cwd=folder).code == 111
    run(["kill", (folder / "pid").read_text().strip()])
    until(lambda: run([ours("setlock"), "-n", "lock", "true"], cwd=folder).code == 0)
