from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from svtree.mail import guard
from svtree.mail.guard import Guard, Limits, delay

LIMITS = Limits(failures=3, lockout=900)


class Time:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def of(folder: Path, address: bytes, time: Time, limits: Limits = LIMITS) -> Guard:
    return Guard(bytes(folder), address, limits, time)


def test_each_failure_in_a_row_waits_longer_up_to_a_bound() -> None:
    assert [delay(count) for count in (0, 1, 2, 3, 4, 5, 6, 1000)] == [0, 0, 1, 2, 4, 8, 8, 8]


def test_an_address_that_fails_often_is_locked_out_for_a_while_and_others_are_not(folder: Path, time: Time) -> None:
    for count in (1, 2, 3):
        assert not of(folder, b"192.0.2.1", time).is_locked_out()
        assert of(folder, b"192.0.2.1", time).failed() == count
    assert of(folder, b"192.0.2.1", time).is_locked_out()
    assert not of(folder, b"192.0.2.2", time).is_locked_out()
    time.now += 899
    assert of(folder, b"192.0.2.1", time).is_locked_out()
    time.now += 1
    assert not of(folder, b"192.0.2.1", time).is_locked_out()
    assert of(folder, b"192.0.2.1", time).failed() == 1


def test_a_good_login_forgets_the_failures(folder: Path, time: Time) -> None:
    of(folder, b"192.0.2.1", time).failed()
    of(folder, b"192.0.2.1", time).succeeded()
    assert of(folder, b"192.0.2.1", time).failed() == 1


def test_a_clock_that_was_set_back_locks_nobody_out_for_ever(folder: Path, time: Time) -> None:
    for _ in range(3):
        of(folder, b"192.0.2.1", time).failed()
    time.now -= 86400
    assert not of(folder, b"192.0.2.1", time).is_locked_out()


def test_one_customers_ipv6_addresses_are_one(folder: Path, time: Time) -> None:
    for last in (b"1", b"2:3", b"ffff"):
        of(folder, b"2001:db8:0:7::" + last, time).failed()
    assert of(folder, b"2001:db8:0:7:abcd::", time).is_locked_out()
    assert not of(folder, b"2001:db8:0:8::1", time).is_locked_out()
    assert os.listdir(folder / "users" / "failures") == ["2001:db8:0:7::"]


@pytest.mark.parametrize("address", [b"", b"unknown", b"../../etc/passwd", b"1.2.3"])
def test_what_is_no_address_is_not_counted(folder: Path, time: Time, address: bytes) -> None:
    assert of(folder, address, time).failed() == 0
    assert not (folder / "users").exists()


def test_it_can_be_turned_off(folder: Path, time: Time) -> None:
    off = of(folder, b"192.0.2.1", time, Limits(failures=0, lockout=900))
    assert (off.failed(), off.is_locked_out()) == (0, False)


def test_only_so_many_are_kept_and_the_oldest_go_first(
    folder: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST", 5)
    for number in range(8):
        time.now += 1
        of(folder, b"192.0.2.%d" % number, time).failed()
    assert sorted(os.listdir(folder / "users" / "failures")) == [f"192.0.2.{number}" for number in range(3, 8)]


def test_failures_at_once_are_all_counted(folder: Path, time: Time) -> None:
    of(folder, b"192.0.2.1", time).failed()
    threads = [threading.Thread(target=of(folder, b"192.0.2.1", time).failed) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert of(folder, b"192.0.2.1", time).failed() == 22


def test_a_directory_that_cannot_be_had_stops_no_login(folder: Path, time: Time) -> None:
    (folder / "users").write_text("a file\n")
    broken = of(folder, b"192.0.2.1", time)
    assert (broken.failed(), broken.is_locked_out()) == (0, False)
    broken.succeeded()
