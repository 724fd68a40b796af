from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from svtree.system import atomic


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    before = os.umask(0o077)
    try:
        atomic.write(bytes(path), b"new", mode=0o644)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["f"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            atomic.write(bytes(path), b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_symbolic_link_is_never_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "t").symlink_to(victim)
    with pytest.raises(OSError):
        atomic.write(bytes(tmp_path / "f"), b"new", temporary=bytes(tmp_path / "t"))
    assert victim.read_text() == "precious"


def test_reading_is_bounded_and_never_waits_for_a_fifo(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)
    assert len(atomic.read(bytes(tmp_path / "f"), 10)) == 11
    os.mkfifo(tmp_path / "p")
    assert atomic.read(bytes(tmp_path / "p")) == b""
