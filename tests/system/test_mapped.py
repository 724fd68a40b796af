"""A mapped file keeps its bytes and notices when its path leads elsewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from svtree.system.mapped import COPIED, Mapped


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "file"
    path.write_bytes(b"old")
    return path


def replace(path: Path) -> None:
    (path.parent / "new").write_bytes(b"old")
    (path.parent / "new").rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "renamed over": replace,
    "written in place": lambda path: path.write_bytes(b"longer"),
    "touched": lambda path: os.utime(path, (1, 1)),
    "removed": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed_and_the_bytes_stay(file: Path, change: Callable[[Path], object]) -> None:
    mapped = Mapped(os.fsencode(file))
    assert not mapped.changed()
    change(file)
    assert mapped.changed()
    assert mapped.data == b"old"
    mapped.close()


@pytest.mark.parametrize("size", [COPIED, COPIED + 1])
def test_a_file_of_any_size_is_given_whole_and_leaves_no_descriptor(file: Path, size: int) -> None:
    file.write_bytes(b"x" * size)
    mapped = Mapped(os.fsencode(file))
    assert len(mapped.data) == size
    assert mapped.data[size - 1 : size] == b"x"
    mapped.close()


def test_a_small_file_that_is_emptied_in_place_kills_no_reader(file: Path) -> None:
    mapped = Mapped(os.fsencode(file))
    os.truncate(file, 0)
    assert mapped.data[:] == b"old"


def test_what_cannot_be_mapped_is_an_error_that_says_why(folder: Path) -> None:
    (folder / "empty").touch()
    (folder / "directory").mkdir()
    for name, number in ((b"empty", errno.EINVAL), (b"directory", errno.EISDIR), (b"none", errno.ENOENT)):
        with pytest.raises(OSError) as caught:
            Mapped(os.fsencode(folder) + b"/" + name)
        assert caught.value.errno == number


def test_a_fifo_in_the_place_of_the_file_holds_nobody_up(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with pytest.raises(OSError):
        Mapped(os.fsencode(folder / "fifo"))
