from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from svtree.supervision.store import ABOVE, FIRST, MOST, Store, valid_name


@pytest.fixture
def store() -> Iterator[Store]:
    kept = Store()
    yield kept
    kept.clear()


def opened() -> int:
    near, far = os.pipe()
    os.close(far)
    return near


def test_descriptors_come_back_in_order_from_3_on_with_their_names(store: Store) -> None:
    for name in (b"smtp", b"pop3"):
        assert store.add(name, opened())
    assert list(store.placed()) == [FIRST, FIRST + 1]
    assert store.variables() == {b"LISTEN_FDS": b"2", b"LISTEN_FDNAMES": b"smtp:pop3"}


def test_an_empty_store_says_nothing(store: Store) -> None:
    assert store.variables() == {}
    assert store.placed() == {}


def test_what_is_kept_is_out_of_the_way_of_what_is_placed_and_not_inherited(store: Store) -> None:
    store.add(b"a", opened())
    (kept,) = store.placed().values()
    assert kept >= ABOVE
    assert not os.get_inheritable(kept)


def test_the_same_file_under_the_same_name_is_kept_once(store: Store) -> None:
    one = opened()
    again = os.dup(one)
    other_name = os.dup(one)
    assert store.add(b"a", one)
    assert not store.add(b"a", again)
    assert store.add(b"b", other_name)
    assert len(store) == 2


def test_there_is_an_end_to_what_is_kept(store: Store) -> None:
    assert [store.add(b"a", opened()) for _ in range(MOST + 2)] == [True] * MOST + [False] * 2


def test_a_removed_name_is_gone_and_the_rest_is_renumbered(store: Store) -> None:
    for name in (b"a", b"b", b"a"):
        store.add(name, opened())
    store.remove(b"a")
    assert store.variables() == {b"LISTEN_FDS": b"1", b"LISTEN_FDNAMES": b"b"}
    assert list(store.placed()) == [FIRST]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"listen", b"listen"),
        (b"", b"stored"),
        (b"a:b", b"stored"),
        (b"a\nb", b"stored"),
        (b"\xff", b"stored"),
        (b"x" * 255, b"x" * 255),
        (b"x" * 256, b"stored"),
    ],
)
def test_a_name_that_cannot_stand_in_the_list_is_the_name_of_the_unnamed(name: bytes, shown: bytes) -> None:
    assert valid_name(name) == shown
