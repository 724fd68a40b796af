"""Logging in: whether the password is right, and whether this address has been wrong too often.

What every server asks, on whatever way the password came: `svtree.mail.accounts` knows the first,
`svtree.mail.guard` the second. Each failure is a line in the log with the address, for people and for programs that
read it.
"""

from __future__ import annotations

from time import sleep

from svtree.formats.received import safe
from svtree.mail import accounts
from svtree.mail.controls import ControlError, Controls, home
from svtree.mail.guard import Guard, Limits, delay
from svtree.multicall import Builtin, resolve
from svtree.program import TEMPORARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from svtree.mail.accounts import Account
    from svtree.program import Environ


def log_in(fields: tuple[bytes, bytes, bytes], environ: Environ, complain: Callable[[bytes], None]) -> Account | None:
    """The account that name, password and timestamp (the three fields at descriptor 3) open, or None.

    `complain` is told, in a line, of what failed. Raises AccountError where it cannot be told. A failure is slow, and
    the slower the more there were in a row.
    """
    name, password, timestamp = fields
    found = None
    with_guard = guarded(environ)
    if not with_guard.turns_away(name, complain):
        found = accounts.check(name, password, environ, timestamp)
        if found is not None:
            with_guard.accepted()
        else:
            with_guard.refused(name, complain)
    return found


class Doorkeeper:
    """A guard that speaks."""

    def __init__(self, guard: Guard, address: bytes, limits: Limits) -> None:
        """`address` is for the log."""
        self._guard = guard
        self._address = address
        self._limits = limits

    def turns_away(self, name: bytes, complain: Callable[[bytes], None]) -> bool:
        """Whether the address is locked out, which is said."""
        if not self._guard.is_locked_out():
            return False
        complain(b"login of %s from %s refused: the address is locked out" % (safe(name), safe(self._address)))
        # As slow as any failure, and no hash is computed for it.
        sleep(delay(self._limits.failures))
        return True

    def accepted(self) -> None:
        """The login was good."""
        self._guard.succeeded()

    def refused(self, name: bytes, complain: Callable[[bytes], None]) -> None:
        """The login was not good: count it, say so, wait."""
        count = self._guard.failed()
        if not count:
            return
        who = b"login of %s from %s failed" % (safe(name), safe(self._address))
        if count >= self._limits.failures:
            words = (who, count, self._limits.lockout)
            complain(b"%s, number %d in a row: the address is locked out for %d seconds" % words)
        else:
            complain(b"%s, number %d in a row" % (who, count))
        sleep(delay(count))


class Outsider:
    """The guard for a checkpassword program of somebody else's, by its exit code; ours counts by itself."""

    def __init__(self, checker: Sequence[bytes], environ: Environ, complain: Callable[[bytes], None]) -> None:
        """`checker` is the program with its words. Raises AccountError."""
        ours = isinstance(resolve(checker[0], environ), Builtin)
        self._keeper = None if ours else guarded(environ)
        self._complain = complain

    def turns_away(self, name: bytes) -> bool:
        """Whether it need not be asked, since the address is locked out."""
        return self._keeper is not None and self._keeper.turns_away(name, self._complain)

    def ended(self, name: bytes, code: int) -> None:
        """It, and what it ran, has ended so; negative for a signal. A failure takes its time."""
        if self._keeper is None:
            return
        if code == 0:
            self._keeper.accepted()
        elif code > 0 and code != TEMPORARY:
            self._keeper.refused(name, self._complain)


def guarded(environ: Environ) -> Doorkeeper:
    """The guard for the client that the environment names. Raises AccountError."""
    where = home(environ)
    try:
        limits = Limits.read(Controls(where))
    except ControlError as error:
        raise accounts.AccountError(str(error)) from error
    address = environ.get(b"TCPREMOTEIP", b"")
    return Doorkeeper(Guard(where, address, limits), address, limits)
