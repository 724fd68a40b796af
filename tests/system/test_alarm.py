from __future__ import annotations

import os
import signal

import pytest

from svtree.system.alarm import Alarm, AlarmError
from tests.harness import until


def test_a_block_that_is_left_in_time_leaves_no_alarm_and_the_old_handler() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with Alarm(60):
        pass
    assert signal.alarm(0) == 0
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_system_call_that_lasts_too_long_is_left() -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        with pytest.raises(AlarmError), Alarm(1):
            os.read(reading, 1)
    finally:
        os.close(reading)
        os.close(writing)


def test_it_rings_until_it_is_heard() -> None:
    heard: list[int] = []
    with Alarm(1):
        # One that does not leave the block, as a signal does not that comes just before a system call.
        signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
        until(lambda: len(heard) >= 2)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_once_heard_it_is_silent() -> None:
    with Alarm(1):
        with pytest.raises(AlarmError):
            signal.pause()
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_error_inside_the_block_ends_the_alarm_too() -> None:
    with pytest.raises(OSError, match="mine"), Alarm(60):
        raise OSError("mine")
    assert signal.alarm(0) == 0
