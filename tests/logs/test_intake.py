from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.logs import intake
from svtree.logs.intake import PAGE, Position, Receiver, Spool, parse, spool

NUMBERS = st.integers(0, 2**63)
RECEIVERS = st.lists(st.builds(Receiver, NUMBERS, NUMBERS, NUMBERS, st.booleans()), max_size=9).map(tuple)


@given(st.builds(Position, st.sampled_from([b"", b"boot-id"]), NUMBERS, NUMBERS, NUMBERS, RECEIVERS, st.integers(-1)))
def test_a_record_comes_back(position: Position) -> None:
    assert parse(position.pack()) == position
    assert parse(position.pack() + b"older residue 1:2:3:4 \n") == position


@given(st.binary() | st.binary().map(lambda data: intake.MAGIC + b" " + data))
def test_what_is_no_record_is_none(page: bytes) -> None:
    position = parse(page)
    assert position is None or parse(position.pack()) == position


Open = Callable[[], Spool]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def opened(folder: Path, pipe: tuple[int, int]) -> Iterator[Open]:
    """Open the spool in the folder; one that is forgotten, as by a kill, is closed with the test."""
    directory = os.open(folder, os.O_RDONLY)
    made: list[Spool] = []

    def make() -> Spool:
        for each in made:
            os.close(each._file)
            os.close(each._directory)
        made.clear()
        one = spool(pipe[0], directory)
        assert one is not None
        made.append(one)
        return one

    yield make
    for each in made:
        os.close(each._file)
        os.close(each._directory)
    os.close(directory)


def finish(one: Spool, count: int) -> None:
    one.done(count, inside=0, receivers=())
    one.save()


def test_what_was_taken_and_not_done_is_there_for_the_next_one(opened: Open, pipe: tuple[int, int]) -> None:
    one = opened()
    finish(one, 0)
    os.write(pipe[1], b"one\ntwo\n")
    assert one.take() == b"one\ntwo\n"
    finish(one, 4)
    two = opened()
    assert two.unfinished() == 4
    assert two.same_boot
    assert two.take() == b"two\n"
    assert not two.waiting()


def test_the_file_does_not_grow_without_end_when_no_block_ends_with_a_line(
    opened: Open, pipe: tuple[int, int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST", PAGE + 10_000)
    one = opened()
    finish(one, 0)
    got = b""
    sent = b""
    largest = 0
    for number in range(200):
        block = b"%d" % (number % 10) * 1000
        os.write(pipe[1], block)
        sent += block
        got += one.take() or b""
        finish(one, 999 if number == 0 else 1000)
        largest = max(largest, (folder / intake.NAME.decode()).stat().st_size)
    assert got == sent
    assert largest < PAGE + 12_000
    assert one.unfinished() == 1
    assert opened().take() == b"9"


def test_two_do_not_share_a_spool(opened: Open, folder: Path, pipe: tuple[int, int]) -> None:
    opened()
    directory = os.open(folder, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        spool(pipe[0], directory)
    os.close(directory)


def test_where_the_file_system_cannot_splice_lines_are_read_and_written(
    opened: Open, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EINVAL, "no splice here")

    monkeypatch.setattr(os, "splice", refuse)
    one = opened()
    finish(one, 0)
    os.write(pipe[1], b"one\n")
    assert one.take() == b"one\n"
    assert opened().take() == b"one\n"


def test_a_disk_that_is_full_leaves_the_lines_in_the_pipe(
    opened: Open, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened()
    finish(one, 0)
    os.write(pipe[1], b"one\n")
    with monkeypatch.context() as patch:

        def full(*_: object, **__: object) -> int:
            raise OSError(errno.ENOSPC, "full")

        patch.setattr(os, "splice", full)
        with pytest.raises(OSError):
            one.take()
    assert one.take() == b"one\n"


def test_lines_of_another_boot_are_known_as_such(opened: Open, pipe: tuple[int, int], folder: Path) -> None:
    one = opened()
    finish(one, 0)
    os.write(pipe[1], b"one\n")
    one.take()
    with (folder / intake.NAME.decode()).open("r+b") as file:
        file.write(Position(b"another", 0, 0, 0, ()).pack())
    two = opened()
    assert not two.same_boot
    assert two.unfinished() == 4
    two.forget()
    assert two.unfinished() == 0


def test_a_spool_in_which_nothing_is_left_is_removed(folder: Path, pipe: tuple[int, int]) -> None:
    directory = os.open(folder, os.O_RDONLY)
    for left in (0, 2):
        one = spool(pipe[0], directory)
        assert one is not None
        finish(one, 0)
        os.write(pipe[1], b"one\n")
        one.take()
        finish(one, 4 - left)
        one.close()
        assert (folder / intake.NAME.decode()).exists() is (left > 0)
    os.close(directory)
