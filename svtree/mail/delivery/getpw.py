"""Asking a qmail-getpw that is not ours which account an address belongs to: an administrator may put one in its place.

Follows qmail-getpw(8) and qmail-lspawn.c: it runs as qmailp where we are root, and prints user, uid, gid, home, dash
and extension, each with a NUL.
"""

from __future__ import annotations

import os

from svtree.formats import assign
from svtree.mail.delivery.orders import EXEC_GETPW, SYSTEM, USAGE
from svtree.system import privileges
from svtree.system.descriptors import place
from svtree.system.streams import read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from svtree.program import Environ

USER = b"qmailp"
GROUP = "nofiles"
# More than six such fields ever have.
LONGEST = 65536


class GetpwError(Exception):
    """It did not say; `code` is the exit code that qmail-lspawn's child has then."""

    def __init__(self, code: int) -> None:
        """Its own exit code, or one of qlx.h."""
        super().__init__(f"exit code {code}")
        self.code = code


def ask(path: bytes, local: bytes, environ: Environ) -> assign.Assignment:
    """Run the program at `path`; whose the address is. Raises GetpwError."""
    try:
        out, into = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if not pid:
            _become(path, local, environ, into)
    except OSError as error:
        raise GetpwError(SYSTEM) from error
    os.close(into)
    try:
        said = read_all(out, LONGEST)
    finally:
        os.close(out)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise GetpwError(code if code > 0 else SYSTEM)
    try:
        return assign.unpack(said)
    except assign.AssignError as error:
        raise GetpwError(USAGE) from error


def _become(path: bytes, local: bytes, environ: Environ, into: int) -> NoReturn:
    """In the child."""
    code = SYSTEM
    try:
        place({1: into})
        if os.geteuid() == 0:
            import grp

            account = privileges.account(USER)
            code = USAGE
            if account is not None:
                privileges.become(grp.getgrnam(GROUP).gr_gid, account.uid)
        code = EXEC_GETPW
        if os.geteuid() != 0:
            os.execve(path, [b"qmail-getpw", local], environ)
    finally:
        os._exit(code)
