from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from svtree.system.loop import READ, WRITE, Loop


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return int(self.now * 1e9)


def test_timers_fire_in_order_when_they_are_due_and_not_when_cancelled() -> None:
    clock = Time()
    loop = Loop(clock)
    seen: list[str] = []
    loop.after(2, lambda: seen.append("two"))
    loop.after(1, lambda: seen.append("one"))
    loop.after(1.5, lambda: seen.append("never")).cancel()
    loop.turn(0)
    assert seen == []
    clock.now += 2
    loop.turn(0)
    assert seen == ["one", "two"]
    loop.close()


def test_a_descriptor_calls_back_until_it_is_forgotten() -> None:
    loop = Loop()
    near, far = os.pipe()
    seen: list[int] = []
    loop.watch(near, READ, seen.append)
    os.write(far, b"x")
    loop.turn(1)
    loop.turn(1)
    assert len(seen) == 2
    assert seen[0] & READ
    loop.forget(near)
    loop.forget(near)
    loop.turn(0)
    assert len(seen) == 2
    loop.watch(far, WRITE, seen.append)
    loop.turn(1)
    assert seen[-1] & WRITE
    loop.close()
    os.close(near)
    os.close(far)


def test_a_callback_may_forget_another_that_is_ready_in_the_same_turn() -> None:
    loop = Loop()
    pipes = [os.pipe(), os.pipe()]
    seen: list[int] = []

    def first_wins(number: int) -> None:
        seen.append(number)
        for near, _ in pipes:
            loop.forget(near)

    for number, (near, far) in enumerate(pipes):
        loop.watch(near, READ, lambda _, number=number: first_wins(number))  # type: ignore[misc]
        os.write(far, b"x")
    loop.turn(1)
    assert len(seen) == 1
    loop.close()
    for pair in pipes:
        for end in pair:
            os.close(end)


def test_a_signal_is_delivered_in_the_loop_and_its_handler_is_given_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    loop = Loop()
    seen: list[str] = []
    loop.on_signal(signal.SIGUSR1, lambda: seen.append("usr1"))
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert seen == []
    loop.turn(1)
    assert seen == ["usr1"]
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_the_end_of_a_process_is_seen_once() -> None:
    loop = Loop()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen: list[str] = []
    loop.on_exit(child.pid, lambda: seen.append("ended"))
    loop.turn(0)
    assert seen == []
    child.communicate(b"\n")
    loop.turn(1)
    loop.turn(0)
    assert seen == ["ended"]
    with pytest.raises(ProcessLookupError):
        loop.on_exit(child.pid, lambda: None)
    loop.close()


def test_run_turns_until_stop() -> None:
    loop = Loop()
    loop.after(0, loop.stop)
    loop.run()
    loop.close()
