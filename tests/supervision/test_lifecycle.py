from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from svtree.formats import status
from svtree.supervision import lifecycle_page
from svtree.supervision.lifecycle import (
    BOUND,
    FINISHING,
    FORGIVEN,
    GAP,
    RUNNING,
    STEADY,
    TABLE,
    WAIVERS,
    Action,
    Event,
    Lifecycle,
    State,
)
from svtree.supervision.service import Service

SECOND = 1.0


def started(*events: Event, now: float = 0.0) -> Lifecycle:
    """A service that was started at 0 and to which these things then happened at `now`."""
    life = Lifecycle()
    life.step(Event.UP, 0.0)
    life.step(Event.DUE, 0.0)
    for event in events:
        life.step(event, now)
    return life


def test_the_documentation_is_printed_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "lifecycle.md"
    assert page.read_text() == lifecycle_page.render(), (
        "python -c 'print the table': see tests/supervision/test_lifecycle.py"
    )


def test_every_state_but_the_first_and_last_can_be_left_by_x_and_told_to_go_down() -> None:
    for state, row in TABLE.items():
        if state in (State.NEW, State.GONE):
            continue
        assert Event.EXIT in row or state in (State.LEAVING, State.LEAVING_DOWN, State.FINISHING_LAST)
        assert Event.DOWN in row or state is State.DOWN


def test_every_state_with_a_process_says_what_follows_its_end() -> None:
    for state in RUNNING | FINISHING:
        assert TABLE[state][Event.ENDED][0] is not state
        assert TABLE[state][Event.FAILED][0] is TABLE[state][Event.ENDED][0]


def test_every_action_has_a_method() -> None:
    assert set(Service.PERFORM) == set(Action)


def test_a_kill_timer_never_outlives_the_process_it_is_for() -> None:
    for state in RUNNING | FINISHING:
        if any(
            Action.ARM_KILL in actions
            for other in TABLE.values()
            for after, actions in other.values()
            if after is state
        ):
            for end in (Event.ENDED, Event.FAILED):
                assert Action.DISARM_KILL in TABLE[state][end][1], state


def test_down_is_term_then_cont_and_then_a_time_limit() -> None:
    assert started().step(Event.DOWN, 5.0) == (Action.ASK, Action.CONT, Action.ARM_KILL)


def test_a_service_that_ends_is_started_again_after_finish() -> None:
    life = started()
    assert life.step(Event.ENDED, 5.0) == (Action.FINISH,)
    assert life.step(Event.ENDED, 5.0) == (Action.ARM_START,)
    assert life.wait(5.0) == 0
    assert life.step(Event.DUE, 5.0) == (Action.START,)
    assert life.state is State.UP


def test_a_service_that_ran_for_less_than_a_second_waits_out_the_second() -> None:
    life = started(Event.ENDED, Event.ENDED, now=0.25)
    assert life.wait(0.25) == GAP - 0.25


def test_a_changed_file_restarts_a_service_at_once_but_not_for_ever() -> None:
    life = started(Event.ENDED, Event.ENDED, Event.DUE, now=0.25)
    waits = []
    for number in range(WAIVERS + 2):
        now = 1.0 + number / 10
        assert life.step(Event.RENEW, now)[-1] is Action.TERM
        for event in (Event.ENDED, Event.ENDED):
            life.step(event, now)
        waits.append(life.wait(now))
        life.step(Event.DUE, now)
    assert waits[:WAIVERS] == [0.0] * WAIVERS
    assert waits[-1] > 0
    assert life.step(Event.RENEW, 100.0)[0] is Action.WAIVE
    for event in (Event.ENDED, Event.ENDED):
        life.step(event, 100.0)
    assert life.wait(100.0) == 0.0


def test_a_changed_file_ends_the_back_off_and_starts_nothing_that_is_down() -> None:
    life, now = failing(9)
    assert life.wait(now) > GAP
    life.step(Event.RENEW, now)
    assert life.wait(now) == 0.0
    life = started(Event.DOWN, Event.ENDED, Event.ENDED)
    assert life.state is State.DOWN
    assert life.step(Event.RENEW, 5.0) == ()


def test_a_service_run_once_stays_down_after_its_end() -> None:
    life = Lifecycle()
    for event in (Event.DOWN, Event.ONCE, Event.DUE, Event.FAILED, Event.ENDED):
        life.step(event, 0.0)
    assert life.state is State.DOWN
    assert life.want == status.ONCE


def test_once_to_a_service_that_runs_means_that_this_run_is_the_last() -> None:
    assert started(Event.ONCE, Event.ENDED, Event.ENDED).state is State.DOWN


def test_up_after_down_starts_it_again_when_it_has_ended() -> None:
    assert started(Event.DOWN, Event.UP, Event.ENDED, Event.ENDED).state is State.WAITING


def test_down_and_exit_end_supervision_after_finish() -> None:
    assert started(Event.DOWN, Event.EXIT).state is State.LEAVING_DOWN
    life = started(Event.DOWN, Event.EXIT, Event.ENDED)
    assert life.state is State.FINISHING_LAST
    assert life.step(Event.ENDED, 1.0)[-1] is Action.FORGET


def test_exit_alone_lets_the_run_last_as_long_as_it_will() -> None:
    life = started()
    assert life.step(Event.EXIT, 1.0) == ()
    assert started(Event.EXIT, Event.UP, Event.ENDED, Event.ENDED).state is State.GONE


def test_pause_shows_until_it_is_continued_or_told_to_end() -> None:
    assert started(Event.PAUSE).paused
    assert not started(Event.PAUSE, Event.CONTINUE).paused
    assert not started(Event.PAUSE, Event.DOWN).paused


def test_readiness_ends_with_the_process() -> None:
    assert started(Event.READY).ready
    assert not started(Event.READY, Event.ENDED).ready
    life = started(Event.READY)
    life.step(Event.TERM, 1.0)
    assert life.ready


def failing(times: int, *, lasting: float = 0.0) -> tuple[Lifecycle, float]:
    """A service that failed that many times in a row, and the time at which the last one failed."""
    life, now = Lifecycle(), 0.0
    life.step(Event.UP, now)
    for _ in range(times):
        now += life.wait(now)
        life.step(Event.DUE, now)
        now += lasting
        life.step(Event.FAILED, now)
        life.step(Event.ENDED, now)
    return life, now


@pytest.mark.parametrize(
    ("failures", "pause"),
    [
        (1, 1),
        (FORGIVEN, 1),
        (FORGIVEN + 1, 2),
        (FORGIVEN + 2, 4),
        (FORGIVEN + 5, 32),
        (FORGIVEN + 6, 60),
        (1000, BOUND),
    ],
)
def test_a_service_that_keeps_failing_is_started_less_and_less_often(failures: int, pause: float) -> None:
    life, now = failing(failures)
    assert life.wait(now) == pause


def test_up_forgives_the_failures() -> None:
    life, now = failing(50)
    assert life.step(Event.UP, now + 5) == (Action.FORGIVE, Action.ARM_START)
    assert life.wait(now + 5) == 0


def test_a_run_that_lasts_forgives_the_failures() -> None:
    life, now = failing(50)
    life.step(Event.DUE, now)
    life.step(Event.FAILED, now + STEADY)
    life.step(Event.ENDED, now + STEADY)
    assert life.wait(now + STEADY) == 0


def test_a_service_that_was_sent_term_has_not_failed() -> None:
    life, now = Lifecycle(), 0.0
    life.step(Event.UP, now)
    for _ in range(100):
        now += life.wait(now)
        for event in (Event.DUE, Event.TERM, Event.FAILED, Event.ENDED):
            life.step(event, now)
    assert life.wait(now) == GAP


def test_success_is_not_failure_however_short() -> None:
    life, now = Lifecycle(), 0.0
    life.step(Event.UP, now)
    for _ in range(100):
        now += life.wait(now)
        for event in (Event.DUE, Event.ENDED, Event.ENDED):
            life.step(event, now)
    assert life.wait(now) == GAP


class AgainstAModel(RuleBasedStateMachine):
    """The table beside what supervise of daemontools does, in a few lines: no finish, no back-off, no time limit."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.life = Lifecycle()
        self.runs = False
        self.started = -10.0
        self.want, self.up, self.leaving, self.gone = True, True, False, False
        self.feed(Event.UP)

    def feed(self, event: Event) -> None:
        """What a driver without a kernel does."""
        events = [event]
        while events:
            for action in self.life.step(events.pop(0), self.now):
                if action is Action.START:
                    assert not self.runs, "started twice"
                    assert self.now - self.started >= GAP, "started twice in a second"
                    self.runs, self.started = True, self.now
                elif action is Action.FINISH:
                    events.append(Event.ENDED)
                elif action is Action.ARM_START and self.life.wait(self.now) <= 0:
                    events.append(Event.DUE)
                elif action in (Action.ASK, Action.TERM, Action.KILL, Action.STOP):
                    assert self.runs, "signalled nobody"

    @precondition(lambda self: not self.gone)
    @rule(letter=st.sampled_from("udoxtkpc"))
    def command(self, letter: str) -> None:
        if letter == "u":
            self.want, self.up = True, True
        elif letter == "d":
            self.want, self.up = True, False
        elif letter == "o":
            self.want = False
        elif letter == "x":
            self.leaving = True
        once = letter == "o" and not self.runs and not self.leaving
        self.feed(Event(letter))
        if once:
            # The single run is due as soon as a second has passed since the last start.
            self.now = max(self.now, self.started + GAP)
            self.feed(Event.DUE)
            assert self.runs

    @precondition(lambda self: self.runs)
    @rule(event=st.sampled_from([Event.ENDED, Event.FAILED]))
    def ends(self, event: Event) -> None:
        self.runs = False
        self.now += STEADY
        self.feed(event)

    @rule(seconds=st.floats(0.0, 3.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if self.life.state in (State.WAITING, State.WAITING_ONCE) and self.life.wait(self.now) <= 0:
            self.feed(Event.DUE)

    @invariant()
    def agree(self) -> None:
        self.gone = self.leaving and not self.runs
        assert (self.life.state is State.GONE) == self.gone
        assert (self.life.state in RUNNING) == self.runs
        if not self.runs and not self.gone:
            assert (self.life.state is State.WAITING) == (self.want and self.up)
        wanted = 0 if not self.want else status.UP if self.up else status.DOWN
        assert self.gone or self.life.want == wanted


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
