"""Running a checkpassword program, whoever wrote it.

Follows cr.yp.to/checkpwd/interface.html: at descriptor 3 it reads name, password and timestamp, each ended by a NUL;
it exits 0 if the login is good and what it ran afterwards was content, 111 for trouble, with another code otherwise.
"""

from __future__ import annotations

import os

from svtree.multicall import become
from svtree.system.descriptors import place
from svtree.system.signals import as_a_c_program
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from svtree.program import Environ

ASKED = 3


class CheckerError(Exception):
    """It could not be started; the text is an outcome of table.STEPS in svtree.mail.pop3."""


class Checker:
    """A checker that runs, and all that comes after it in its chain."""

    def __init__(self, login: bytes, argv: Sequence[bytes], environ: Environ, client: int | None = None) -> None:
        """Start it. `client` becomes its descriptors 0 and 1; None: they stay what they are. Raises CheckerError."""
        try:
            reading, writing = os.pipe2(os.O_CLOEXEC)
        except OSError as error:
            raise CheckerError("no pipe") from error
        try:
            self._pid = os.fork()
        except OSError as error:
            os.close(reading)
            os.close(writing)
            raise CheckerError("no process") from error
        if self._pid == 0:
            os.close(writing)
            _be_checker(reading, argv, environ, client)
        os.close(reading)
        try:
            # It fits into the pipe's buffer: a checker that reads nothing cannot hold us up.
            write_all(writing, login)
        except OSError:
            self.heard = False
        else:
            self.heard = True
        os.close(writing)

    def end(self) -> int:
        """Wait until the chain has ended; its exit code, negative for a signal."""
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)


def _be_checker(reading: int, argv: Sequence[bytes], environ: Environ, client: int | None) -> NoReturn:
    try:
        wanted = {ASKED: reading}
        if client is not None:
            wanted |= {0: client, 1: client}
        place(wanted)
        if reading != ASKED:
            os.close(reading)
        as_a_c_program()
        become(argv, environ)
    except BaseException:  # noqa: BLE001 - a second copy of the parent must not go on, whatever happened
        os._exit(1)
