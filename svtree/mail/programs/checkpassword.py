"""checkpassword: check a password and become its user.

Follows DJB's checkpassword interface (cr.yp.to/checkpwd/interface.html) and checkpassword 0.90: descriptor 3 gives
at most 512 bytes, `login NUL password NUL timestamp NUL`; exit codes 1 for a login that is not accepted, 2 for misuse,
111 for trouble that may pass; else the next program runs as the user, at home, with USER, HOME and SHELL set.
"""

from __future__ import annotations

import os

from svtree.mail import accounts
from svtree.mail.accounts import AccountError
from svtree.mail.login import log_in
from svtree.multicall import preload
from svtree.program import Chain, Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.privileges import become
from svtree.system.streams import complain, read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.accounts import Account
    from svtree.program import Environ

USAGE = "checkpassword: usage: checkpassword program [ arg ... ]"
ASKED = 3
LIMIT = 512
REFUSED = 1
MISUSED = 2


def prepare() -> None:
    """Import now what a login takes: for a parent whose children fork."""
    accounts.preload()


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Read the login from descriptor 3; the chain goes on as its user."""
    if len(argv) < 2:
        raise UsageError(USAGE, code=MISUSED)
    try:
        data = read_all(ASKED, LIMIT)
        os.close(ASKED)
    except OSError as error:
        raise Fatal(f"unable to read descriptor 3: {reason(error)}") from error
    if len(data) > LIMIT:
        return REFUSED
    words = data.split(b"\0")
    if len(words) < 3:
        # Login and password must both be ended by a NUL; a timestamp may be missing.
        return MISUSED
    try:
        account = log_in((words[0], words[1], words[2]), environ, _warn)
    except AccountError as error:
        raise Fatal(str(error)) from error
    if account is None:
        return REFUSED
    # Found now, as whoever we are: the user may not be allowed to read our modules.
    preload(argv[1:], environ)
    _enter(account)
    return Chain(tuple(argv[1:]), {**environ, b"USER": account.name, b"HOME": account.home, b"SHELL": account.shell})


def _warn(line: bytes) -> None:
    complain(b"checkpassword: warning: " + line)


def _enter(account: Account) -> None:
    """Be the user, at home. An ordinary user's tree has no other user to become."""
    if account.virtual:
        # First, since a tree may stand where only its owner gets to; below the home all is the user's.
        _go_to(account.home)
    if os.geteuid() == 0:
        try:
            become(account.gid, account.uid)
        except OSError:
            # DJB's answer, too: an account that one cannot become is no account to log in with.
            raise Fatal("unable to become the user: permission denied", REFUSED) from None
    if not account.virtual:
        _go_to(account.home)


def _go_to(home: bytes) -> None:
    try:
        os.chdir(home)
    except OSError as error:
        raise Fatal(f"unable to switch to {home.decode('utf-8', 'surrogateescape')}: {reason(error)}") from error
