"""Locks, FIFOs, and what /proc says of processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from svtree.supervision.reaper import Reaper
from svtree.system import fifo, flock, processes, procfs
from svtree.system.loop import Loop
from tests.harness import until


def test_a_lock_is_one_owners_until_it_is_closed(folder: Path) -> None:
    path = bytes(folder / "lock")
    first = flock.take(path)
    with pytest.raises(BlockingIOError):
        flock.take(path)
    os.close(first)
    os.close(flock.take(path))


def test_a_fifo_has_the_mode_asked_for_whatever_the_umask_and_keeps_one_it_was_given(folder: Path) -> None:
    path = folder / "fifo"
    before = os.umask(0o177)
    try:
        fifo.make(bytes(path), 0o660)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o660
    path.chmod(0o620)
    fifo.make(bytes(path), 0o600)
    assert path.stat().st_mode & 0o777 == 0o620


def test_what_is_no_fifo_is_not_taken_for_one(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(FileExistsError):
        fifo.make(bytes(folder / "file"))


def test_a_held_fifo_tells_how_much_is_unread(folder: Path) -> None:
    path = bytes(folder / "fifo")
    fifo.make(path)
    held = fifo.hold(path)
    try:
        assert fifo.take(held) == b""
        os.write(held, b"five!")
        assert fifo.unread(held) == 5
        assert fifo.take(held) == b"five!"
    finally:
        os.close(held)


def test_proc_says_who_a_process_is_whatever_it_is_called(folder: Path) -> None:
    name = folder / "a) Z (b"
    name.write_bytes(Path("/bin/sleep").read_bytes())
    name.chmod(0o755)
    before = procfs.ticks_now()
    process = subprocess.Popen([name, "1000"], start_new_session=True, cwd=folder, env={"TOKEN": "x=y"})
    here = os.open(folder, os.O_PATH)
    try:
        until(lambda: procfs.environment(process.pid).get(b"TOKEN") == b"x=y")
        seen = procfs.look(process.pid)
        assert seen is not None
        assert (seen.pid, seen.parent, seen.group, seen.session) == (process.pid, os.getpid(), process.pid, process.pid)
        assert before - 1 <= seen.ticks <= procfs.ticks_now() + 1
        # It may run at one look and sleep at the next.
        until(lambda: procfs.look(process.pid) in list(procfs.everybody()))
        assert procfs.works_in(process.pid, here)
        assert procfs.owner(process.pid) == os.getuid()
    finally:
        os.close(here)
        process.kill()
        process.wait()
    assert procfs.look(process.pid) is None
    assert procfs.environment(process.pid) == {}
    assert procfs.owner(process.pid) is None


def test_orphans_are_reaped_and_those_somebody_waits_for_are_not() -> None:
    loop = Loop()
    reaper = Reaper(loop)
    mine = os.posix_spawn("/bin/true", ["true"], {})
    processes.register(mine)
    others = [os.posix_spawn("/bin/true", ["true"], {}) for _ in range(3)]
    try:
        until(lambda: all(_state(pid) == b"Z" for pid in (mine, *others)))
        reaper.sweep()
        # Whoever stands behind mine waits until it has been reaped, and is then seen by the second look.
        assert os.waitpid(mine, 0) == (mine, 0)
        processes.release(mine)

        def gone() -> bool:
            loop.turn(0.05)
            return all(procfs.look(pid) is None for pid in others)

        until(gone)
    finally:
        processes.release(mine)
        reaper.close()
        loop.close()


def _state(pid: int) -> bytes:
    seen = procfs.look(pid)
    return seen.state if seen else b""
