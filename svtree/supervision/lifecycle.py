"""The life of a service as a table: state and event give the next state and what to do.

Everything that decides when a service is started, told to end or killed is here, and nothing here knows a process or
a clock: events and the time come in, actions go out, `svtree.supervision.service` performs them. docs/lifecycle.md is
printed from the table (svtree.supervision.lifecycle_page).

The words u, d, o, x, t, k, p, c are svc's. The rules are daemontools' (at most one start a second; TERM and CONT on
down), runit's where it has `finish`, s6's where it has `timeout-kill`; the back-off is ours.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from svtree.formats import status

if TYPE_CHECKING:
    from collections.abc import Mapping

    Cell = tuple["State", tuple["Action", ...]]
    Row = Mapping["Event", Cell]

# No service is started twice within this many seconds (daemontools).
GAP: Final = 1.0
# A restart because a watched file has changed waives that second: so often at once, and again each so many seconds.
WAIVERS: Final = 5
WAIVED_EACH: Final = 2.0
# A run that fails before this many seconds counts towards the back-off; one that lasts longer clears the count.
STEADY: Final = 10.0
# So many failures in a row cost no more than GAP; each one after that doubles the pause, up to the bound (seconds).
FORGIVEN: Final = 5
BOUND: Final = 60.0


class State(Enum):
    """Where a service is. The value is the sentence that the documentation prints."""

    NEW = "not looked at yet"
    DOWN = "nothing runs, nothing is wanted"
    WAITING = "nothing runs; the pause before the next start passes"
    WAITING_ONCE = "nothing runs; the pause before a single run passes"
    UP = "run is running and wanted"
    ONCE = "run is running for a single time"
    STOPPING = "run is running and has been told to end"
    RESTARTING = "run is running, has been told to end, and will be started again"
    LEAVING = "run is running; its end is the end of supervision"
    LEAVING_DOWN = "run is running and has been told to end, and so will supervision"
    FINISHING = "finish is running; run will be started again"
    FINISHING_ONCE = "finish is running; run will be started for a single time"
    FINISHING_DOWN = "finish is running; nothing follows"
    FINISHING_LAST = "finish is running; the end of supervision follows"
    GONE = "supervision has ended"


class Event(Enum):
    """What happens to a service: a command, or something seen."""

    UP = "u"
    DOWN = "d"
    ONCE = "o"
    EXIT = "x"
    TERM = "t"
    KILL = "k"
    PAUSE = "p"
    CONTINUE = "c"
    RENEW = "a file it watches has changed"
    DUE = "the pause is over"
    ENDED = "the process has ended, well or as it was told, or nobody knows how"
    FAILED = "the process has failed"
    LATE = "timeout-kill is over"
    READY = "the service says that it is ready"
    FOUND = "its process is found running, wanted up"
    FOUND_ONCE = "its process is found running for a single time"
    FOUND_DOWN = "its process is found running, wanted down"
    FOUND_FINISH = "its finish is found running"


class Action(Enum):
    """What the driver does."""

    ARM_START = "start the pause"
    DISARM_START = "end the pause"
    WAIVE = "let the next start come at once"
    START = "start run"
    FINISH = "start finish if there is one"
    ASK = "send TERM (down-signal)"
    TERM = "send TERM"
    CONT = "send CONT"
    STOP = "send STOP"
    KILL = "send KILL"
    ARM_KILL = "start timeout-kill unless it runs already"
    DISARM_KILL = "end timeout-kill"
    COUNT = "count a failure"
    FORGIVE = "forget the failures"
    NOTE_READY = "note that it is ready"
    GIVE_BACK = "close the descriptors it has stored"
    FORGET = "end supervision"


# What may be sent to any process of the service, and what it may say, without a change of state.
_SENT: Final = {
    Event.TERM: (Action.TERM,),
    Event.KILL: (Action.KILL,),
    Event.PAUSE: (Action.STOP,),
    Event.CONTINUE: (Action.CONT,),
}
_TOLD: Final = (Action.ASK, Action.CONT, Action.ARM_KILL)


def _runs(state: State, row: Row) -> Row:
    return {
        **row,
        **{event: (state, actions) for event, actions in _SENT.items()},
        Event.READY: (state, (Action.NOTE_READY,)),
    }


def _finishes(state: State, row: Row) -> Row:
    return {**row, **{event: (state, actions) for event, actions in _SENT.items()}}


TABLE: Final[Mapping[State, Row]] = {
    State.NEW: {
        Event.UP: (State.WAITING, (Action.ARM_START,)),
        Event.DOWN: (State.DOWN, (Action.GIVE_BACK,)),
        Event.FOUND: (State.UP, ()),
        Event.FOUND_ONCE: (State.ONCE, ()),
        Event.FOUND_DOWN: (State.STOPPING, (Action.ARM_KILL,)),
        Event.FOUND_FINISH: (State.FINISHING, ()),
    },
    State.DOWN: {
        Event.UP: (State.WAITING, (Action.FORGIVE, Action.ARM_START)),
        Event.ONCE: (State.WAITING_ONCE, (Action.FORGIVE, Action.ARM_START)),
        Event.EXIT: (State.GONE, (Action.FORGET,)),
    },
    State.WAITING: {
        Event.UP: (State.WAITING, (Action.FORGIVE, Action.ARM_START)),
        Event.DOWN: (State.DOWN, (Action.DISARM_START, Action.GIVE_BACK)),
        Event.ONCE: (State.WAITING_ONCE, (Action.FORGIVE, Action.ARM_START)),
        Event.EXIT: (State.GONE, (Action.DISARM_START, Action.FORGET)),
        Event.RENEW: (State.WAITING, (Action.WAIVE, Action.FORGIVE, Action.ARM_START)),
        Event.DUE: (State.UP, (Action.START,)),
    },
    State.WAITING_ONCE: {
        Event.UP: (State.WAITING, (Action.FORGIVE, Action.ARM_START)),
        Event.DOWN: (State.DOWN, (Action.DISARM_START, Action.GIVE_BACK)),
        Event.ONCE: (State.WAITING_ONCE, (Action.FORGIVE, Action.ARM_START)),
        Event.EXIT: (State.GONE, (Action.DISARM_START, Action.FORGET)),
        Event.DUE: (State.ONCE, (Action.START,)),
    },
    State.UP: _runs(
        State.UP,
        {
            Event.UP: (State.UP, (Action.FORGIVE,)),
            Event.DOWN: (State.STOPPING, _TOLD),
            Event.ONCE: (State.ONCE, ()),
            Event.EXIT: (State.LEAVING, ()),
            Event.RENEW: (State.UP, (Action.WAIVE, Action.TERM)),
            Event.ENDED: (State.FINISHING, (Action.FINISH,)),
            Event.FAILED: (State.FINISHING, (Action.COUNT, Action.FINISH)),
        },
    ),
    State.ONCE: _runs(
        State.ONCE,
        {
            Event.UP: (State.UP, (Action.FORGIVE,)),
            Event.DOWN: (State.STOPPING, _TOLD),
            Event.EXIT: (State.LEAVING, ()),
            Event.RENEW: (State.ONCE, (Action.TERM,)),
            Event.ENDED: (State.FINISHING_DOWN, (Action.FINISH,)),
            Event.FAILED: (State.FINISHING_DOWN, (Action.FINISH,)),
        },
    ),
    State.STOPPING: _runs(
        State.STOPPING,
        {
            Event.UP: (State.RESTARTING, (Action.FORGIVE,)),
            Event.DOWN: (State.STOPPING, _TOLD),
            Event.EXIT: (State.LEAVING_DOWN, ()),
            Event.LATE: (State.STOPPING, (Action.KILL,)),
            Event.ENDED: (State.FINISHING_DOWN, (Action.DISARM_KILL, Action.FINISH)),
            Event.FAILED: (State.FINISHING_DOWN, (Action.DISARM_KILL, Action.FINISH)),
        },
    ),
    State.RESTARTING: _runs(
        State.RESTARTING,
        {
            Event.DOWN: (State.STOPPING, _TOLD),
            Event.ONCE: (State.STOPPING, ()),
            Event.EXIT: (State.LEAVING_DOWN, ()),
            Event.RENEW: (State.RESTARTING, (Action.WAIVE,)),
            Event.LATE: (State.RESTARTING, (Action.KILL,)),
            Event.ENDED: (State.FINISHING, (Action.DISARM_KILL, Action.FINISH)),
            Event.FAILED: (State.FINISHING, (Action.DISARM_KILL, Action.FINISH)),
        },
    ),
    State.LEAVING: _runs(
        State.LEAVING,
        {
            Event.DOWN: (State.LEAVING_DOWN, _TOLD),
            Event.ENDED: (State.FINISHING_LAST, (Action.FINISH,)),
            Event.FAILED: (State.FINISHING_LAST, (Action.FINISH,)),
        },
    ),
    State.LEAVING_DOWN: _runs(
        State.LEAVING_DOWN,
        {
            Event.DOWN: (State.LEAVING_DOWN, _TOLD),
            Event.LATE: (State.LEAVING_DOWN, (Action.KILL,)),
            Event.ENDED: (State.FINISHING_LAST, (Action.DISARM_KILL, Action.FINISH)),
            Event.FAILED: (State.FINISHING_LAST, (Action.DISARM_KILL, Action.FINISH)),
        },
    ),
    State.FINISHING: _finishes(
        State.FINISHING,
        {
            Event.UP: (State.FINISHING, (Action.FORGIVE,)),
            Event.DOWN: (State.FINISHING_DOWN, (Action.ARM_KILL,)),
            Event.ONCE: (State.FINISHING_ONCE, (Action.FORGIVE,)),
            Event.EXIT: (State.FINISHING_LAST, ()),
            Event.RENEW: (State.FINISHING, (Action.WAIVE,)),
            Event.ENDED: (State.WAITING, (Action.ARM_START,)),
            Event.FAILED: (State.WAITING, (Action.ARM_START,)),
        },
    ),
    State.FINISHING_ONCE: _finishes(
        State.FINISHING_ONCE,
        {
            Event.UP: (State.FINISHING, (Action.FORGIVE,)),
            Event.DOWN: (State.FINISHING_DOWN, (Action.ARM_KILL,)),
            Event.EXIT: (State.FINISHING_LAST, ()),
            Event.ENDED: (State.WAITING_ONCE, (Action.ARM_START,)),
            Event.FAILED: (State.WAITING_ONCE, (Action.ARM_START,)),
        },
    ),
    State.FINISHING_DOWN: _finishes(
        State.FINISHING_DOWN,
        {
            Event.UP: (State.FINISHING, (Action.DISARM_KILL, Action.FORGIVE)),
            Event.DOWN: (State.FINISHING_DOWN, (Action.ARM_KILL,)),
            Event.ONCE: (State.FINISHING_ONCE, (Action.DISARM_KILL, Action.FORGIVE)),
            Event.EXIT: (State.FINISHING_LAST, ()),
            Event.LATE: (State.FINISHING_DOWN, (Action.KILL,)),
            Event.ENDED: (State.DOWN, (Action.DISARM_KILL, Action.GIVE_BACK)),
            Event.FAILED: (State.DOWN, (Action.DISARM_KILL, Action.GIVE_BACK)),
        },
    ),
    State.FINISHING_LAST: _finishes(
        State.FINISHING_LAST,
        {
            Event.DOWN: (State.FINISHING_LAST, (Action.ARM_KILL,)),
            Event.LATE: (State.FINISHING_LAST, (Action.KILL,)),
            Event.ENDED: (State.GONE, (Action.DISARM_KILL, Action.FORGET)),
            Event.FAILED: (State.GONE, (Action.DISARM_KILL, Action.FORGET)),
        },
    ),
    State.GONE: {},
}

# The command that was given last is what is wanted, as status byte 17 says it.
_WANTS: Final = {
    Event.UP: status.UP,
    Event.FOUND: status.UP,
    Event.FOUND_FINISH: status.UP,
    Event.DOWN: status.DOWN,
    Event.FOUND_DOWN: status.DOWN,
    Event.ONCE: status.ONCE,
    Event.FOUND_ONCE: status.ONCE,
}
RUNNING: Final = frozenset(state for state, row in TABLE.items() if Event.READY in row)
FINISHING: Final = frozenset(state for state, row in TABLE.items() if Event.KILL in row) - RUNNING


class Lifecycle:
    """One service's place in the table, and what its rules of time must remember. Times are monotonic seconds."""

    __slots__ = ("credit", "failures", "paused", "ready", "spent", "started", "state", "term_sent", "waived", "want")

    def __init__(self) -> None:
        """A service that nobody has looked at yet."""
        self.state = State.NEW
        self.want = status.UP
        self.paused = False
        self.term_sent = False
        self.ready = False
        self.failures = 0
        self.started = float("-inf")
        self.waived = False
        self.credit = float(WAIVERS)
        self.spent = 0.0

    def step(self, event: Event, now: float) -> tuple[Action, ...]:
        """Go on to the next state; return what to do, in order. An event without a cell changes nothing."""
        if self.state is not State.GONE:
            self.want = _WANTS.get(event, self.want)
        cell = TABLE[self.state].get(event)
        if cell is None:
            return ()
        if event in (Event.ENDED, Event.FAILED) and self.state in RUNNING and now - self.started >= STEADY:
            self.failures = 0
        self.state, actions = cell
        for action in actions:
            self._note(action, now)
        if self.state not in RUNNING:
            self.ready = False
        return actions

    def wait(self, now: float) -> float:
        """Seconds until run may be started: what is left of the one second, unless it is waived, or the back-off."""
        return max(0.0, 0.0 if self.waived else self.started + GAP - now, self.backoff())

    def backoff(self) -> float:
        """The pause in seconds that its failures have earned the service; 0 while they are forgiven."""
        beyond = self.failures - FORGIVEN
        if beyond <= 0:
            return 0.0
        # The exponent is bounded too: a service may fail for years.
        return min(float(2 ** min(beyond, 16)), BOUND)

    def _note(self, action: Action, now: float) -> None:
        if action is Action.START:
            self.started = now
            self.paused = self.term_sent = self.ready = self.waived = False
        elif action is Action.FINISH:
            self.paused = self.term_sent = False
        elif action in (Action.ASK, Action.TERM):
            self.term_sent = True
        elif action is Action.STOP:
            self.paused = True
        elif action is Action.CONT:
            self.paused = False
        elif action is Action.COUNT and not self.term_sent and now - self.started < STEADY:
            self.failures += 1
        elif action is Action.FORGIVE:
            self.failures = 0
        elif action is Action.NOTE_READY:
            self.ready = True
        elif action is Action.WAIVE:
            self._waive(now)

    def _waive(self, now: float) -> None:
        """Within bounds: a service that writes into a file it watches must not become a loop."""
        self.credit = min(float(WAIVERS), self.credit + (now - self.spent) / WAIVED_EACH)
        self.spent = now
        if self.credit >= 1 and not self.waived:
            self.credit -= 1
            self.waived = True
