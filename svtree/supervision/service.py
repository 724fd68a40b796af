"""One supervised service: performs what the lifecycle table says, a method an action, and tells it what happens.

Not here: what follows from what (lifecycle), its process (runner), what it says (voice), what is shown of it (board),
which services there are (tree).
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from svtree.formats import identity
from svtree.formats.status import Status
from svtree.supervision.account import Account
from svtree.supervision.board import Board
from svtree.supervision.custom import Custom
from svtree.supervision.letters import COMMANDS, REPLACEABLE, SIGNALS
from svtree.supervision.lifecycle import RUNNING, Action, Event, Lifecycle, State
from svtree.supervision.place import PlaceError
from svtree.supervision.process import Exit, signal_number
from svtree.supervision.runner import Runner
from svtree.supervision.timers import Timers
from svtree.supervision.voice import Voice
from svtree.system import fifo, procfs
from svtree.system.errors import reason
from svtree.system.loop import READ

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar

    from svtree.supervision.context import Context
    from svtree.supervision.place import Place

# When all is taken down a service has this many seconds after TERM, unless its timeout-kill says otherwise.
PATIENCE = 5.0
# And so many after KILL, which ends everything that we may end.
STUCK = 5.0
# How long a logger may take to read to the end of its pipe when its service is gone.
DRAIN = 10.0
# What finish is told of a run that could not be started (runsv(8)).
UNSTARTED = Exit(111, None)
FOUND = {b"u": Event.FOUND, b"d": Event.FOUND_DOWN, b"o": Event.FOUND_ONCE}


class Service:
    """A service whose directory is open and locked; `gone` is called once, when supervision has ended."""

    def __init__(
        self,
        context: Context,
        place: Place,
        *,
        path: bytes,
        streams: Callable[[], Mapping[int, int]],
        gone: Callable[[], None],
    ) -> None:
        """`path` is absolute; `streams` opens what the service gets as 0 and 1 where these are not ours."""
        self.place = place
        self.begun = False
        self.machine = Lifecycle()
        self._context = context
        self._gone = gone
        self._board = Board(context, place)
        self.runner = Runner(context, place, self._board, streams=streams, ended=self._ended)
        self.voice = Voice(
            context,
            place,
            path,
            ready=lambda: self.feed(Event.READY),
            said=self._said,
            silent=self._silent,
            pid=lambda: self.runner.pid,
        )
        self._custom: Custom | None = None
        self._spared: Action | None = None
        self._events: list[Event] = []
        self._turning = False
        self._hurried = False
        self._timers = Timers(context.loop)
        self._account = Account()

    # What others ask of a service.

    def begin(self, *, speaks: bool = True) -> None:
        """Adopt what an earlier supervisor left, or start, unless there is a file `down`. PlaceError.

        A service that `speaks`, as all do but loggers, has a notify socket and programs in control/.
        """
        self.begun = True
        try:
            normally_down = self.place.has(b"down")
        except OSError as error:
            raise PlaceError(b"unable to stat " + self.place.name + b"/down", error) from error
        if speaks:
            self._custom = Custom(
                self._context, self.place, self._board, self.runner, obey=self._obey, note=self._obey_silently
            )
            self.voice.listen()
        for event in self._adopt() or (Event.DOWN if normally_down else Event.UP,):
            self.feed(event)
        self.place.admit()
        self._context.loop.watch(self.place.control, READ, self._commanded)

    def feed(self, event: Event) -> None:
        """Let something happen to the service; returns when all that follows from it at once is done."""
        self._events.append(event)
        # An event that an action brings about has its turn after the action; one that comes too late has none.
        if self._turning or not self.place.held:
            return
        self._turning = True
        try:
            while self._events:
                for action in self.machine.step(self._events.pop(0), self._now()):
                    if action is not self._spared:
                        self.PERFORM[action](self)
        finally:
            self._turning = False
        self.publish()
        if self.machine.state is State.GONE:
            self.close()
            self._gone()

    def command(self, letter: bytes) -> None:
        """Obey a letter of the control FIFO; letters that mean nothing are ignored, as ever."""
        if letter not in COMMANDS and letter not in SIGNALS:
            return
        if self._custom is None:
            self._obey(letter)
        else:
            self._custom.command(letter)

    def restart(self) -> None:
        """End the process so that it is started again at once, because what it is made of has changed."""
        self.feed(Event.RENEW)

    def take_down(self) -> None:
        """End the service and its supervision, by KILL if need be."""
        self._hurried = True
        if self._custom is not None:
            self._custom.hurry()
        self.command(b"d")
        self.command(b"x")

    def drain(self, *, unread: bool) -> None:
        """Let a logger read to the end of its pipe and end then, within bounds.

        Called before the last hold on the pipe is let go: if it has something `unread`, a logger that waits to be
        started is started now.
        """
        self._hurried = True
        if unread:
            self.feed(Event.DUE)
        self.feed(Event.CONTINUE)
        self.feed(Event.EXIT)
        if self.place.held:
            self._arm("drain", DRAIN, Event.DOWN)

    def note(self, complaints: tuple[str, ...]) -> None:
        """Show in the report what is wrong with the files that the service watches."""
        self._account.complaints = complaints
        self.publish()

    def catch_up(self) -> None:
        """Write again what could not be written, a full disk being a passing thing."""
        if self._board.behind:
            self.publish()

    def publish(self) -> None:
        """Bring status, report and the note for a successor up to date."""
        if not self.place.held:
            return
        machine, runner = self.machine, self.runner
        runner.note(machine.want)
        paused = machine.paused and runner.pid != 0
        status = Status(runner.since, runner.pid, paused, machine.want, machine.term_sent, runner.phase)
        self._board.show(status, self._account.report(machine, runner))

    def close(self) -> None:
        """Give up the service; a process that runs goes on, for the next supervisor to find."""
        self._timers.clear()
        if self._custom is not None:
            self._custom.close()
        self.voice.close()
        self.runner.abandon()
        if self.place.held:
            self._board.close()
            self._context.loop.forget(self.place.control)
        self.place.close()

    # What happens.

    def _ended(self, ended: Exit | None) -> None:
        self._timers.disarm("abort")
        if self.machine.state in RUNNING:
            self.voice.quiet()
            self._account.exit = ended
            lasted = self._now() - self.machine.started
            self._announce(f"{ended.words() if ended else 'ended'} after {lasted:.0f} seconds")
        self.feed(Event.FAILED if ended and ended.failed else Event.ENDED)

    def _commanded(self, _: int) -> None:
        for letter in fifo.take(self.place.control):
            self.command(bytes((letter,)))
            if not self.place.held:
                return

    def _obey(self, letter: bytes) -> None:
        if letter in COMMANDS:
            self.feed(COMMANDS[letter])
        else:
            self.runner.send(SIGNALS[letter])

    def _obey_silently(self, letter: bytes) -> None:
        """A program of the service's has sent the signal in our place, or is about to."""
        if letter in COMMANDS:
            self._spared = REPLACEABLE.get(letter)
            try:
                self.feed(COMMANDS[letter])
            finally:
                self._spared = None

    def _said(self, text: str) -> None:
        self._account.text = text
        self.publish()

    def _silent(self) -> None:
        self._announce("silent for too long: sent ABRT")
        self.runner.send(signal.SIGABRT)
        self._arm("abort", PATIENCE, Event.KILL)

    def _adopt(self) -> tuple[Event, ...]:
        """What there is to begin with, if an earlier supervisor has left something."""
        found = self.runner.adopt()
        if found is None:
            self._board.wipe()
            return ()
        self.machine.started = self._now() - procfs.age(found.ticks)
        before = self._board.recall()
        self._account.starts = before.restarts + 1
        self._account.text = before.status
        self._announce(f"adopted (pid {found.pid})")
        if found.phase == identity.FINISH:
            return (Event.FOUND_FINISH, *((Event.DOWN,) if found.want == b"d" else ()))
        self._account.promises = self.voice.promises()
        self.voice.started(ready=before.ready is True)
        more = ((Event.READY, before.ready is True), (Event.PAUSE, found.stopped))
        return (FOUND.get(found.want, Event.FOUND), *(event for event, holds in more if holds))

    # What the table asks for.

    def _start(self) -> None:
        self._timers.disarm("start")
        self._account.text = ""
        try:
            self._account.promises = self.voice.promises()
            self.runner.run(self.voice.outfit(), self.machine.want)
        except OSError as error:
            self._account.problem = f"unable to start run: {reason(error)}"
            what = b"unable to start " + self.place.name + b"/run: " + reason(error).encode()
            self._board.warn("start", b"supervise: fatal: " + what)
            self.voice.quiet()
            self._account.exit = UNSTARTED
            self._events.append(Event.FAILED)
            return
        self._account.problem = ""
        self._board.well("start")
        self._account.starts += 1
        self.voice.started()
        self._announce(f"up (pid {self.runner.pid})")

    def _finish(self) -> None:
        if not self.runner.finish(self._account.exit):
            self._events.append(Event.ENDED)

    def _arm_start(self) -> None:
        wait = self.machine.wait(self._now())
        if wait <= 0:
            self._events.append(Event.DUE)
            return
        self._arm("start", wait, Event.DUE)
        if self.machine.backoff():
            self._announce(f"keeps failing; next start in {wait:.0f} seconds")

    def _disarm_start(self) -> None:
        self._timers.disarm("start")

    def _arm_kill(self) -> None:
        if "kill" in self._timers:
            return
        allowed = self.place.amount(b"timeout-kill")
        if allowed:
            self._arm("kill", allowed / 1000, Event.LATE)
        elif self._hurried:
            self._arm("kill", PATIENCE, Event.LATE)

    def _disarm_kill(self) -> None:
        self._timers.disarm("kill")

    def _ask(self) -> None:
        self.runner.send(signal_number(self.place.word(b"down-signal")) or signal.SIGTERM)

    def _term(self) -> None:
        self.runner.send(signal.SIGTERM)

    def _cont(self) -> None:
        self.runner.send(signal.SIGCONT)

    def _stop(self) -> None:
        self.runner.send(signal.SIGSTOP)

    def _kill(self) -> None:
        self.runner.send(signal.SIGKILL)
        if self._hurried:
            self._timers.arm("stuck", STUCK, self._give_up)

    def _give_up(self) -> None:
        """KILL does not end it: it is in the kernel's hands, or another user's. Nothing else waits for it for ever."""
        pid = b"%d" % self.runner.pid
        self._context.complain(b"supervise: warning: unable to end " + self.place.name + b" (pid " + pid + b")")
        self.close()
        self._gone()

    def _note_ready(self) -> None:
        self._announce("ready")

    def _give_back(self) -> None:
        # A service that is down listens to nobody: clients are to be refused, not to wait for a start that is not due.
        # When all is taken down it may be due: that is for the supervisor above to know, which then keeps them.
        if self._hurried:
            self.voice.store.leave()
        else:
            self.voice.store.clear()

    def _forget(self) -> None:
        self._give_back()
        self.runner.forget(self.machine.want)

    def _nothing(self) -> None:
        """The machine has done it."""

    PERFORM: ClassVar[Mapping[Action, Callable[[Service], None]]] = {
        Action.ARM_START: _arm_start,
        Action.DISARM_START: _disarm_start,
        Action.WAIVE: _nothing,
        Action.START: _start,
        Action.FINISH: _finish,
        Action.ASK: _ask,
        Action.TERM: _term,
        Action.CONT: _cont,
        Action.STOP: _stop,
        Action.KILL: _kill,
        Action.ARM_KILL: _arm_kill,
        Action.DISARM_KILL: _disarm_kill,
        Action.COUNT: _nothing,
        Action.FORGIVE: _nothing,
        Action.NOTE_READY: _note_ready,
        Action.GIVE_BACK: _give_back,
        Action.FORGET: _forget,
    }

    # Time.

    def _announce(self, sentence: str) -> None:
        self._context.announce(self.place.name, sentence)

    def _arm(self, name: str, seconds: float, event: Event) -> None:
        self._timers.arm(name, seconds, lambda: self.feed(event))

    def _now(self) -> float:
        return self._context.loop.clock.monotonic()
