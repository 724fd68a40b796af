from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.queue.schedule import Agenda, next_retry

LOCAL, REMOTE = 0, 1


def test_a_remote_message_is_tried_again_after_400_1600_3600_seconds_and_so_on() -> None:
    birth = now = 1_000_000
    attempts = []
    for _ in range(6):
        now = next_retry(birth, now, REMOTE)
        attempts.append(now - birth)
    assert attempts == [400, 1600, 3600, 6400, 10000, 14400]


def test_a_local_message_is_tried_again_after_100_400_900_seconds_and_so_on() -> None:
    birth = now = 0
    attempts = []
    for _ in range(4):
        now = next_retry(birth, now, LOCAL)
        attempts.append(now)
    assert attempts == [100, 400, 900, 1600]


def test_a_message_from_the_future_is_tried_as_if_it_were_new() -> None:
    assert next_retry(5000, 10, LOCAL) == 5100


@given(st.integers(0, 1 << 31), st.integers(0, 1 << 24), st.sampled_from((LOCAL, REMOTE)))
def test_the_next_attempt_is_always_later_than_now(birth: int, age: int, channel: int) -> None:
    assert next_retry(birth, birth + age, channel) > birth + age


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 99))))
def test_an_agenda_gives_back_what_is_due_earliest_first_and_of_one_moment_in_order(
    entries: list[tuple[int, int]],
) -> None:
    agenda = Agenda()
    for due, number in entries:
        agenda.insert(due, number)
    assert agenda.first() == min((due for due, _ in entries), default=None)
    found = []
    while (taken := agenda.pop(5)) is not None:
        found.append(taken)
    in_order = sorted(entries, key=lambda entry: entry[0])
    assert found == [number for due, number in in_order if due <= 5]
    assert agenda.drain() == [(due, number) for due, number in in_order if due > 5]
    assert len(agenda) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 99))))
def test_hurry_makes_everything_due_and_keeps_the_order(entries: list[tuple[int, int]]) -> None:
    agenda = Agenda()
    for due, number in entries:
        agenda.insert(due, number)
    agenda.hurry(3)
    assert [due for due, _ in agenda.drain()] == [3] * len(entries)
    for due, number in entries:
        agenda.insert(due, number)
    agenda.hurry(3)
    agenda.insert(3, 1000)
    found = []
    while (taken := agenda.pop(3)) is not None:
        found.append(taken)
    assert found == [number for _, number in sorted(entries, key=lambda entry: entry[0])] + [1000]
