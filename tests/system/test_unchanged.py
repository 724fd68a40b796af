"""Files that are what they were, and every way in which they may not be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from svtree.system import unchanged
from svtree.system.unchanged import Unchanged
from tests.harness import until

NAMES = (b"me", b"list", b"missing")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with two of three files, in another one, with stamps as fine as a kernel's ticks."""
    monkeypatch.setattr(unchanged, "COARSE", 0.1)
    found = tmp_path / "control"
    found.mkdir()
    (found / "me").write_text("one\n")
    (found / "list").write_text("two\n")
    return found


def looked(directory: Path) -> Unchanged:
    return Unchanged(bytes(directory), NAMES)


def settled(directory: Path) -> Unchanged:
    """Once the files are old enough."""

    def found() -> Unchanged | None:
        files = looked(directory)
        return files if files.settled else None

    value = until(found)
    assert value is not None
    return value


def test_files_that_have_just_changed_are_not_settled(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "COARSE", 3600.0)
    assert not looked(directory).settled


def test_files_that_were_left_alone_are_what_they_were(directory: Path) -> None:
    files = settled(directory)
    assert files.still()
    (directory / "me").read_bytes()
    assert files.still()


def rewrite(directory: Path) -> None:
    """In place, the same size and the same times."""
    before = (directory / "me").stat()
    (directory / "me").write_text("eno\n")
    os.utime(directory / "me", ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(directory: Path) -> None:
    """By rename, of a file as old as the one it replaces."""
    before = (directory / "list").stat()
    (directory / "new").write_text("owt\n")
    os.utime(directory / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (directory / "new").rename(directory / "list")


def add(directory: Path) -> None:
    (directory / "missing").write_text("three\n")


def link(directory: Path) -> None:
    (directory / "missing").symlink_to("me")


def remove(directory: Path) -> None:
    (directory / "me").unlink()


def forbid(directory: Path) -> None:
    (directory / "me").chmod(0)


def swap(directory: Path) -> None:
    """The directory itself."""
    directory.rename(directory.parent / "old")
    directory.mkdir()
    (directory / "me").write_text("one\n")
    (directory / "list").write_text("two\n")


@pytest.mark.parametrize("change", [rewrite, replace, add, link, remove, forbid, swap])
def test_every_edit_is_seen(directory: Path, change: Callable[[Path], None]) -> None:
    files = settled(directory)
    change(directory)
    assert not files.still()


def test_a_linked_file_is_looked_at_where_the_link_leads(directory: Path) -> None:
    outside = directory.parent / "outside"
    outside.write_text("three\n")
    link = directory / "missing"
    link.symlink_to(outside)
    files = settled(directory)
    assert files.still()
    outside.write_text("eerht\n")
    assert not files.still()


def test_a_link_that_leads_nowhere_is_never_settled(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "COARSE", -3600.0)
    assert looked(directory).settled
    (directory / "missing").symlink_to("nowhere")
    assert not looked(directory).settled


def test_a_directory_that_is_not_there_is_never_what_it_was(tmp_path: Path) -> None:
    assert not Unchanged(bytes(tmp_path / "none"), NAMES).still()
