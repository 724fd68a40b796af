"""Hints: one descriptor, many directories, and nobody is called for what does not concern him."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from svtree.system.loop import Loop
from svtree.watch.hints import Hints
from svtree.watch.looking import Place


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def hints(loop: Loop, complaints: list[str]) -> Iterator[Hints]:
    made = Hints(loop, complaints.append)
    yield made
    made.close()


def place(path: Path, *names: str) -> dict[bytes, Place]:
    found = path.stat()
    wanted = tuple(name.encode() for name in names) or None
    return {os.fsencode(path): Place((found.st_dev, found.st_ino), wanted)}


class Owner:
    """Counts how often it is called, in a loop that is turned until there is nothing to do."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._calls = 0

    def call(self, events: int) -> None:
        assert events
        self._calls += 1

    def called(self) -> bool:
        self._calls = 0
        self._loop.turn(0)
        return self._calls > 0


def test_an_owner_is_called_for_the_names_it_wants_and_no_others(loop: Loop, hints: Hints, folder: Path) -> None:
    some, every = Owner(loop), Owner(loop)
    hints.want(some.call, place(folder, "conf"))
    hints.want(every.call, place(folder))
    (folder / "conf").write_text("1")
    assert some.called()
    (folder / "other").write_text("1")
    loop.turn(0)
    (folder / "other").chmod(0o600)
    assert not some.called()
    (folder / "other").unlink()
    assert every.called()


def test_reading_a_file_calls_nobody(loop: Loop, hints: Hints, folder: Path) -> None:
    (folder / "conf").write_text("1")
    owner = Owner(loop)
    hints.want(owner.call, place(folder))
    assert (folder / "conf").read_text() == "1"
    assert os.listdir(folder) == ["conf"]
    assert not owner.called()


def test_a_directory_that_goes_calls_its_owners_and_may_come_again(loop: Loop, hints: Hints, folder: Path) -> None:
    there = folder / "there"
    there.mkdir()
    owner = Owner(loop)
    hints.want(owner.call, place(there, "conf"))
    there.rmdir()
    assert owner.called()
    there.mkdir()
    hints.want(owner.call, place(there, "conf"))
    (there / "conf").write_text("1")
    assert owner.called()


def test_a_directory_that_was_replaced_is_watched_anew(loop: Loop, hints: Hints, folder: Path) -> None:
    there = folder / "there"
    there.mkdir()
    owner = Owner(loop)
    hints.want(owner.call, place(there))
    there.rename(folder / "old")
    there.mkdir()
    owner.called()
    hints.want(owner.call, place(there))
    (there / "conf").write_text("1")
    assert owner.called()
    (folder / "old" / "conf").write_text("1")
    assert not owner.called()


def test_what_is_no_longer_wanted_calls_nobody(loop: Loop, hints: Hints, folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    owner, other = Owner(loop), Owner(loop)
    hints.want(owner.call, {**place(folder / "a"), **place(folder / "b")})
    hints.want(other.call, place(folder / "a"))
    hints.want(owner.call, place(folder / "b"))
    (folder / "a" / "conf").write_text("1")
    assert not owner.called()
    hints.leave(owner.call)
    (folder / "b" / "conf").write_text("1")
    assert not owner.called()
    (folder / "a" / "conf").write_text("2")
    assert other.called()


def test_two_paths_to_one_directory_are_both_watched_until_the_last_is_dropped(
    loop: Loop, hints: Hints, folder: Path
) -> None:
    (folder / "there").mkdir()
    (folder / "link").symlink_to("there")
    direct, linked = Owner(loop), Owner(loop)
    hints.want(direct.call, place(folder / "there"))
    hints.want(linked.call, place(folder / "link"))
    hints.leave(direct.call)
    (folder / "there" / "conf").write_text("1")
    assert linked.called()


def test_an_owner_may_leave_while_it_is_called(loop: Loop, hints: Hints, folder: Path) -> None:
    calls: list[str] = []

    def first(_: int) -> None:
        calls.append("first")
        hints.leave(first)
        hints.leave(second)

    def second(_: int) -> None:
        calls.append("second")
        hints.leave(first)
        hints.leave(second)

    hints.want(first, place(folder))
    hints.want(second, place(folder))
    (folder / "conf").write_text("1")
    loop.turn(0)
    assert len(calls) == 1


def test_no_program_inherits_the_descriptor(hints: Hints, complaints: list[str]) -> None:
    watching = [number for number in os.listdir("/proc/self/fd") if "inotify" in _target(f"/proc/self/fd/{number}")]
    assert len(watching) == 1
    assert not os.get_inheritable(int(watching[0]))
    assert not os.get_blocking(int(watching[0]))
    assert (complaints, hints.complete) == ([], True)


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
