from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from svtree.formats.queuefiles import Recipient
from svtree.mail.delivery.orders import Order, Orders
from svtree.mail.queue.deliveries import REPORT, Job, Reports, Slots, order, safe

TEXT = st.binary(max_size=30).map(lambda each: each.replace(b"\0", b""))


def job(number: int = 457, sender: bytes = b"s@h") -> Job:
    return Job(number, 0, sender, 100, dying=False)


def test_a_job_is_complete_when_all_was_read_and_nothing_is_left() -> None:
    one = job()
    assert not one.complete
    one.left = 1
    one.read_to_end = True
    assert not one.complete
    one.left = 0
    assert one.complete


def test_the_lowest_free_slot_is_taken_and_a_job_lives_as_long_as_its_deliveries() -> None:
    slots = Slots(2)
    one = job()
    first = slots.start(one, 1, Recipient(0, b"a@b", False))
    second = slots.start(one, 2, Recipient(5, b"c@d", False))
    assert (first.slot, second.slot) == (0, 1)
    assert not slots.free
    assert one.references == 3
    assert slots.end(0) == first
    assert slots.end(0) is None
    assert slots.end(7) is None
    assert slots.used == 1
    assert slots.start(one, 3, Recipient(0, b"a@b", False)).slot == 0


@given(st.integers(0, 255), st.integers(1, 1 << 40), TEXT, TEXT)
def test_a_spawner_reads_the_order_that_was_written(slot: int, number: int, sender: bytes, recipient: bytes) -> None:
    slots = Slots(256)
    one = job(number, sender)
    while True:
        delivery = slots.start(one, 1, Recipient(0, recipient, False))
        if delivery.slot == slot:
            break
    wire = order(delivery)
    orders = Orders()
    found = [each for at in range(len(wire)) for each in orders.feed(wire[at : at + 1])]
    assert [(each.slot, each.message, each.recipient) for each in found] == [
        (slot, b"%d/%d" % (number % 23, number), recipient)
    ]
    assert isinstance(found[0], Order)


@given(st.lists(st.tuples(st.integers(0, 255), TEXT), max_size=5), st.integers(1, 7))
def test_reports_come_out_as_they_went_in_however_they_are_cut(reports: list[tuple[int, bytes]], step: int) -> None:
    wire = b"".join(b"%c%s\0" % report for report in reports)
    reader = Reports()
    found: list[tuple[int, bytes]] = []
    for at in range(0, len(wire), step):
        found += reader.feed(wire[at : at + step])
    assert found == reports


def test_an_endless_report_is_cut_and_the_next_one_is_whole() -> None:
    reader = Reports()
    found: list[tuple[int, bytes]] = []
    for _ in range(10):
        found += reader.feed(b"\1" + b"D" * 9999 if not found else b"")
    found += reader.feed(b"\0\2Kok\0")
    assert [slot for slot, _ in found] == [1, 2]
    assert len(found[0][1]) < REPORT
    assert found[1] == (2, b"Kok")


def test_the_log_is_safe_from_what_strangers_say() -> None:
    assert safe(b"Sorry, no mailbox.\n100%\x00\xff~") == b"Sorry,_no_mailbox./100___~"
