"""setlock beside the original."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness import Processes, Result, original, ours, run, until

pytestmark = pytest.mark.oracle


def both(folder: Path, *arguments: str) -> Result:
    """What the original does, having checked that ours does the same."""
    theirs = run([original("setlock"), *arguments], cwd=folder)
    assert run([ours("setlock"), *arguments], cwd=folder) == theirs
    return theirs


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("lock",),
        ("-n",),
        ("-z", "lock", "true"),
        ("lock", "sh", "-c", "echo ran; exit 9"),
        ("-nNxX", "lock", "true"),
        ("--", "lock", "true"),
        ("lock", "./missing"),
        ("no/such/folder", "true"),
        ("-x", "no/such/folder", "true"),
        ("-xX", "no/such/folder", "true"),
        (".", "true"),
        ("-x", ".", "true"),
        ("lock", "sh", "-c", "ls /proc/self/fd"),
    ],
)
def test_the_same_texts_codes_and_descriptors(folder: Path, arguments: tuple[str, ...]) -> None:
    both(folder, *arguments)


@pytest.mark.parametrize("maker", ["ours", "theirs"])
def test_a_lock_that_somebody_holds(folder: Path, processes: Processes, maker: str) -> None:
    program = ours("setlock") if maker == "ours" else original("setlock")
    processes.start([program, "lock", "sh", "-c", "echo held; exec sleep 60"], cwd=folder, stdout=None)
    until(lambda: run([original("setlock"), "-n", "lock", "true"], cwd=folder).code == 111)
    assert both(folder, "-n", "lock", "true") == Result(
        111, b"", b"setlock: fatal: unable to lock lock: temporary failure\n"
    )
    assert both(folder, "-nx", "lock", "true") == Result(0, b"", b"")


def test_the_file_is_made_alike_and_never_changed(folder: Path) -> None:
    modes = []
    for program in (original("setlock"), ours("setlock")):
        run([program, "lock", "true"], cwd=folder)
        modes.append((folder / "lock").stat().st_mode)
        (folder / "lock").unlink()
    assert modes[0] == modes[1]
    (folder / "lock").write_bytes(b"content")
    both(folder, "lock", "true")
    assert (folder / "lock").read_bytes() == b"content"


def test_a_fifo_without_a_reader_is_an_error_not_a_wait(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    assert both(folder, "fifo", "true").code == 111
