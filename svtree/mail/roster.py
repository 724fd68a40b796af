"""Changing the virtual users file: `svtree user`. What the file is, and adding to it: `svtree.mail.accounts`.

Comments, blank lines and the order of the lines stay. Readers see the old file or the new one; two who change it at
once wait for each other.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager

from svtree.formats import control
from svtree.mail import accounts, controls, passwords
from svtree.mail.accounts import AccountError
from svtree.mail.queue.rewriting import virtual
from svtree.system import atomic
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from svtree.mail.accounts import User


def users(home: bytes) -> list[User]:
    """All virtual users of the qmail directory `home`, in the file's order. Raises AccountError."""
    return list(accounts.parse(_read(home), os.fsdecode(accounts.path(home))).values())


def change(home: bytes, name: bytes, password: bytes, *, known: bool) -> None:
    """Give a user another password; `known`: store the password itself, for APOP and CRAM-MD5. Raises AccountError."""
    check(password, known=known)
    secret = passwords.PLAIN + password if known else passwords.make(password)

    def changed(line: bytes) -> bytes:
        _, _, place = line.partition(b":")[2].partition(b":")
        return b"%s:%s:%s" % (name, secret, place)

    _rewrite(home, name, changed)


def remove(home: bytes, name: bytes) -> None:
    """Take a user out of the file; the mail stays where it is. Raises AccountError."""
    _rewrite(home, name, lambda _: None)


def check(password: bytes, *, known: bool) -> None:
    """Raise AccountError for a password that no client can send, or that the file cannot hold as it is."""
    if not password:
        raise AccountError("the password is empty")
    if any(byte in password for byte in (b"\0", b"\n", b"\r")):
        raise AccountError("the password has a byte that POP3 cannot carry")
    if known and b":" in password:
        raise AccountError("a password that is stored itself cannot have a colon")


def make_domain(home: bytes, domain: bytes) -> bool:
    """Have `domain` taken and delivered: control/rcpthosts and control/virtualdomains; False where it is already.

    Its users are called DOMAIN-NAME. Raises AccountError.
    """
    files = controls.Controls(home)
    try:
        if domain in virtual(files.lines("virtualdomains") or ()):
            return False
        _append(files, "virtualdomains", domain + b":" + domain)
        if domain not in {each.lower() for each in files.lines("rcpthosts") or ()}:
            _append(files, "rcpthosts", domain)
    except controls.ControlError as error:
        raise AccountError(str(error)) from error
    except OSError as error:
        raise AccountError(f"unable to write {os.fsdecode(files.directory)}: {reason(error)}") from error
    return True


def _append(files: controls.Controls, name: str, line: bytes) -> None:
    data = files.read(name) or b""
    if data and not data.endswith(b"\n"):
        data += b"\n"
    assert control.lines(line)  # noqa: S101 - a domain is no comment
    atomic.write(files.directory + b"/" + name.encode(), data + line + b"\n", owner=_owner(files.directory))


def _rewrite(home: bytes, name: bytes, change_line: Callable[[bytes], bytes | None]) -> None:
    """Put the user's line through `change_line`; None takes it out."""
    where = accounts.path(home)
    try:
        with _locked(home):
            data = _read(home)
            if name not in accounts.parse(data, os.fsdecode(where)):
                raise AccountError(f"{name.decode('utf-8', 'surrogateescape')}: there is no such user")
            lines = [change_line(line) if line.startswith(name + b":") else line for line in data.split(b"\n")]
            found = os.stat(where)
            kept = b"\n".join(line for line in lines if line is not None)
            accounts.parse(kept, os.fsdecode(where))
            atomic.write(where, kept, mode=0o600, owner=(found.st_uid, found.st_gid))
    except OSError as error:
        raise AccountError(f"unable to write {os.fsdecode(error.filename or where)}: {reason(error)}") from error


@contextmanager
def _locked(home: bytes) -> Iterator[None]:
    lock = os.open(home + b"/users", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _read(home: bytes) -> bytes:
    where = accounts.path(home)
    try:
        data = atomic.read(where, accounts.LIMIT)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise AccountError(f"unable to read {os.fsdecode(where)}: {reason(error)}") from error
    if len(data) > accounts.LIMIT:
        raise AccountError(f"unable to read {os.fsdecode(where)}: file too big")
    return data


def _owner(directory: bytes) -> tuple[int, int] | None:
    """Whose the files beside are, for root; nobody else can give a file away."""
    if os.geteuid() != 0:
        return None
    found = os.stat(directory)
    return found.st_uid, found.st_gid
