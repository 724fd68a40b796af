"""control/LETTER: programs of a service that take the place of the signal that a letter of svc's would send.

Follows runsv(8) of runit: control/t, k, p, c, h, a, i, q, 1, 2 and w are run when that letter comes and the service
has a process; one that exits 0 has done what the signal would have done. On d, control/t is asked, then control/d is
run; on x, control/x; on u and o, control/u, if the service has no process. Letters that come meanwhile wait their turn.

Unlike runsv's, one has a time limit; control/u is not run when a service is started again because it has ended; and a
signal whose program failed is not sent to a process that has been started since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from svtree.formats import status
from svtree.supervision.errand import Errand
from svtree.system.errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.supervision.board import Board
    from svtree.supervision.context import Context
    from svtree.supervision.place import Place
    from svtree.supervision.process import Exit
    from svtree.supervision.runner import Runner

# How long one may take, and how long when everything is being taken down, in seconds.
LIMIT = 60.0
HURRIED = 5.0
DOWN, EXIT, UP, ONCE = b"d", b"x", b"u", b"o"
TERM = b"t"


class Custom:
    """The letters for one service, one after another.

    For each, in order, `obey(letter)` is called, or `note(letter)` where its signal is not to be sent.
    """

    def __init__(
        self,
        context: Context,
        place: Place,
        board: Board,
        runner: Runner,
        *,
        obey: Callable[[bytes], None],
        note: Callable[[bytes], None],
    ) -> None:
        """No letter has come."""
        self._context = context
        self._place = place
        self._board = board
        self._runner = runner
        self._obey = obey
        self._note = note
        self._letters: list[bytes] = []
        self._errand: Errand | None = None
        self._limit = LIMIT

    def command(self, letter: bytes) -> None:
        """Obey, after the letters that came before."""
        self._letters.append(letter)
        self._go_on()

    def hurry(self) -> None:
        """All is being taken down: nothing that is run here takes long any more."""
        self._limit = HURRIED
        if self._errand is not None:
            self._errand.hurry(HURRIED)

    def close(self) -> None:
        """Obey no more."""
        self._letters.clear()
        if self._errand is not None:
            self._errand.close()
            self._errand = None

    def _go_on(self) -> None:
        while self._letters and self._errand is None:
            self._begin(self._letters.pop(0), self._runner.pid)

    def _begin(self, letter: bytes, pid: int) -> None:
        if letter == DOWN:
            # Wanted down from now on: what ends because control/t has ended it is not started again.
            if self._runner.phase == status.RUNNING and self._run(TERM, lambda ended: self._asked(pid, ended)):
                self._note(letter)
                return
            self._obey(letter)
            if pid:
                self._run(DOWN, self._over)
        elif letter == EXIT:
            self._obey(letter)
            if pid:
                self._run(EXIT, self._over)
        elif letter in (UP, ONCE):
            if pid or not self._run(UP, lambda _: self._obey(letter)):
                self._obey(letter)
        elif not (pid and self._run(letter, lambda ended: self._done(letter, pid, ended))):
            self._obey(letter)

    def _asked(self, pid: int, ended: Exit | None) -> None:
        if _failed(ended) and self._runner.pid == pid:
            self._obey(DOWN)
        self._run(DOWN, self._over)

    def _done(self, letter: bytes, pid: int, ended: Exit | None) -> None:
        if self._runner.pid == pid:
            (self._obey if _failed(ended) else self._note)(letter)

    def _over(self, _: Exit | None) -> None:
        """How it ended says nothing."""

    def _run(self, name: bytes, then: Callable[[Exit | None], None]) -> bool:
        """Run control/NAME if there is one, `then` call `then` with how it ended; False if none was started."""
        program = b"control/" + name
        if not self._place.held or not self._place.may_run(program):
            return False

        def over(ended: Exit | None) -> None:
            self._errand = None
            then(ended)
            self._go_on()

        try:
            self._errand = Errand(self._context.loop, lambda: self._runner.aside((b"./" + program,)), self._limit, over)
        except OSError as error:
            what = b"unable to start " + self._place.name + b"/" + program + b": " + reason(error).encode()
            self._board.warn("control", b"supervise: warning: " + what)
            return False
        self._board.well("control")
        return True


def _failed(ended: Exit | None) -> bool:
    return ended is None or ended.failed
