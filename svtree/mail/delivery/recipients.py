"""Which account a local address belongs to: qmail-lspawn's question.

Follows qmail-getpw.c: the account that the whole local part names, else the part before the last dash, else before the
dash before it, and so on; its home must be its own; what belongs to nobody is the alias user's. Virtual users come
before system accounts, and the alias user of a tree is QMAILHOME/alias.
"""

from __future__ import annotations

import os

from svtree.formats.record import record
from svtree.mail import accounts, controls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.mail.accounts import Account
    from svtree.program import Environ

BREAK = 45
LONGEST = 64


class RecipientError(Exception):
    """It cannot be told now; the text is for the log."""


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
    """The recipient for a local part; None if there is not even an alias user. Raises RecipientError, OSError."""
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
