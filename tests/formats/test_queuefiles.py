from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.formats import queuefiles
from svtree.formats.queuefiles import Arrival, QueueFileError, Recipient

ADDRESSES = st.binary(max_size=20).map(lambda each: each.replace(b"\0", b""))


def test_names_are_those_of_qmail_with_a_split_of_23() -> None:
    assert queuefiles.split("mess", 457) == b"mess/20/457"
    assert queuefiles.flat("todo", 457) == b"todo/457"
    assert queuefiles.place(457) == b"20/457"


@pytest.mark.parametrize(
    ("name", "number"),
    [(b"457", 457), (b"0", 0), (b".", None), (b"457x", None), (b"", None), (b"-1", None), (b"9" * 30, None)],
)
def test_only_digits_are_a_message_number(name: bytes, number: int | None) -> None:
    assert queuefiles.number(name) == number


def test_todo_is_read_as_qmail_queue_writes_it() -> None:
    data = queuefiles.preamble(1000, 4711) + b"Fa@b\0Tc@d\0Te\0"
    assert data == b"u1000\0p4711\0Fa@b\0Tc@d\0Te\0"
    assert queuefiles.arrival(data) == Arrival(1000, 4711, b"a@b", (b"c@d", b"e"))


def test_a_record_without_its_nul_is_left_out() -> None:
    assert queuefiles.arrival(b"u1\0p2\0Fa\0Tb\0Tc").recipients == (b"b",)


@pytest.mark.parametrize("data", [b"", b"u1\0p2\0", b"u1\0p2\0Fa\0xb\0", b"Fa\0\0"])
def test_a_todo_file_that_no_qmail_wrote_is_an_error(data: bytes) -> None:
    with pytest.raises(QueueFileError):
        queuefiles.arrival(data)


@given(ADDRESSES)
def test_info_holds_the_sender(sender: bytes) -> None:
    assert queuefiles.sender(queuefiles.info(sender)) == sender


@pytest.mark.parametrize("data", [b"", b"F", b"Fa@b", b"Ta@b\0"])
def test_an_info_file_that_is_cut_or_strange_has_no_sender(data: bytes) -> None:
    assert queuefiles.sender(data) is None


def test_recipients_carry_the_place_of_their_letter() -> None:
    data = b"Ta@b\0Dcc@d\0Te\0Tcut"
    found = queuefiles.recipients(data, 100)
    assert found == [Recipient(100, b"a@b", False), Recipient(105, b"cc@d", True), Recipient(111, b"e", False)]
    assert [data[each.position - 100 :][:1] for each in found] == [b"T", b"D", b"T"]


def test_a_strange_record_among_recipients_is_an_error() -> None:
    with pytest.raises(QueueFileError):
        queuefiles.recipients(b"Ta\0Xb\0")


def test_the_received_line_names_pid_invoker_and_date() -> None:
    line = queuefiles.received(9490, b"by uid 0", b"23 Nov 2026 23:02:10 -0000")
    assert line == b"Received: (qmail 9490 invoked by uid 0); 23 Nov 2026 23:02:10 -0000\n"
