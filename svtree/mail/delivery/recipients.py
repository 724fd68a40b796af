"""Which account a local address belongs to: qmail-lspawn's question.

First users/cdb is asked, which qmail-newu makes of users/assign: see svtree.formats.assign. What it does not know is
found as qmail-getpw.c finds it: the account that the whole local part names, else the part before the last dash, else
before the dash before it, and so on; its home must be its own; what belongs to nobody is the alias user's. Virtual
users come before system accounts, and the alias user of a tree is QMAILHOME/alias.
"""

from __future__ import annotations

import os

from svtree.formats import assign
from svtree.formats.cdb import CdbError, Reader
from svtree.formats.record import record
from svtree.mail import accounts, controls
from svtree.mail.delivery import orders
from svtree.multicall import Foreign, resolve
from svtree.program import TEMPORARY
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.mail.accounts import Account
    from svtree.program import Environ

BREAK = 45
LONGEST = 64


class RecipientError(Exception):
    """It cannot be told now; the text says why. `code` is what qmail-lspawn's child exits with."""

    def __init__(self, text: str, code: int = TEMPORARY) -> None:
        """With 111 the text goes into the log; the other codes, those of qlx.h, have a report of their own there."""
        super().__init__(text)
        self.code = code


class CdbTroubleError(RecipientError):
    """users/cdb cannot be read; the text names it."""

    def __init__(self, text: str) -> None:
        """qlx.h has a code for it."""
        super().__init__(text, orders.CDB)


@record
class Recipient:
    """Whose mail it is, who handles it, and the part of the address that names the .qmail file."""

    name: bytes
    uid: int
    gid: int
    home: bytes
    dash: bytes
    extension: bytes


def find(local: bytes, environ: Environ) -> Recipient | None:
    """The recipient for a local part; None if there is not even an alias user.

    Another qmail-getpw than ours, if one is first on PATH, is asked in the place of the accounts. Raises RecipientError
    and OSError.
    """
    who = assigned(local, controls.home(environ) + b"/users/cdb")
    if who is not None:
        return who
    program = resolve(b"qmail-getpw", environ)
    if isinstance(program, Foreign):
        return _asked(program.path, local, environ)
    return by_account(local, environ)


def assigned(local: bytes, path: bytes) -> Recipient | None:
    """The recipient that the users/cdb at `path` names, if it names one. Raises CdbTroubleError."""
    try:
        # Most have none, and need not load what reads it.
        os.stat(path)
        from svtree.system.mapped import Mapped

        mapped = Mapped(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CdbTroubleError(f"unable to read {os.fsdecode(path)}: {reason(error)}") from error
    try:
        found = assign.find(local, Reader(mapped.data).get)
    except (CdbError, assign.AssignError) as error:
        raise CdbTroubleError(f"unable to read {os.fsdecode(path)}: {error}") from error
    finally:
        mapped.close()
    return None if found is None else _recipient(found)


def _asked(path: bytes, local: bytes, environ: Environ) -> Recipient:
    from svtree.mail.delivery.getpw import GetpwError, ask

    try:
        return _recipient(ask(path, local, environ))
    except GetpwError as error:
        raise RecipientError(f"{os.fsdecode(path)}: {error}", error.code) from error


def _recipient(found: assign.Assignment) -> Recipient:
    return Recipient(found.name, found.uid, found.gid, found.home, found.dash, found.extension)


def by_account(local: bytes, environ: Environ) -> Recipient | None:
    """The recipient whose account's name the local part begins with, else the alias user. Raises RecipientError."""
    for end in range(len(local), 0, -1):
        if end > LONGEST or (end < len(local) and local[end] != BREAK):
            continue
        try:
            account = accounts.find(local[:end].lower(), environ)
        except accounts.AccountError as error:
            raise RecipientError(str(error)) from error
        if account is not None and _owns_its_home(account):
            dash, extension = (b"-", local[end + 1 :]) if end < len(local) else (b"", b"")
            return Recipient(account.name, account.uid, account.gid, account.home, dash, extension)
    return _alias(local, environ)


def _owns_its_home(account: Account) -> bool:
    if account.virtual:
        # Its uid is that of its home's owner.
        return True
    if account.uid == 0:
        return False
    try:
        return os.stat(account.home).st_uid == account.uid
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False


def _alias(local: bytes, environ: Environ) -> Recipient | None:
    home = controls.home(environ) + b"/alias"
    try:
        status = os.stat(home)
    except (FileNotFoundError, NotADirectoryError):
        return None
    uid, gid = status.st_uid, status.st_gid
    if os.geteuid() == 0 and uid == 0:
        # A directory of root's: handled by an account without rights, as nothing is ever delivered by root.
        from svtree.system.privileges import account

        keeper = next(filter(None, map(account, accounts.KEEPERS)), None)
        if keeper is None:
            return None
        uid, gid = keeper.uid, keeper.gid
    return Recipient(b"alias", uid, gid, home, b"-", local)


def preload() -> None:
    """Import now what `find` may need: for a parent whose children fork."""
    __import__("svtree.system.mapped")
    __import__("svtree.mail.delivery.getpw")
