"""Long work leaves the loop room for others, and comes to its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from svtree.system.loop import Loop
from svtree.watch.slices import SLICE, Slices


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_work_is_done_in_order_and_between_other_things(loop: Loop) -> None:
    done: list[str] = []

    def work(name: str) -> Iterator[None]:
        for step in range(3):
            begun = loop.clock.monotonic()
            while loop.clock.monotonic() < begun + SLICE:
                pass
            done.append(f"{name}{step}")
            yield

    slices = Slices(loop)
    slices.add(work("a"))
    slices.add(work("b"))
    turns = 0
    while len(done) < 6:
        loop.turn()
        turns += 1
    assert done == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert turns >= 6


def test_work_may_add_work_and_close(loop: Loop) -> None:
    done: list[str] = []
    slices = Slices(loop)

    def second() -> Iterator[None]:
        done.append("second")
        slices.close()
        yield
        done.append("never")

    def first() -> Iterator[None]:
        slices.add(second())
        done.append("first")
        yield

    slices.add(first())
    for _ in range(5):
        loop.turn(0)
    assert done == ["first", "second"]
