"""Who has a mailbox here, where it is, and whether a password is theirs.

One file of virtual users, QMAILHOME/users/virtual, mode 0600, one a line:

    NAME:SECRET:HOME

SECRET has one of the forms of `svtree.mail.passwords`; HOME is relative to QMAILHOME and home/NAME where it is empty
or left out. Blank lines and lines that begin with "#" do not count; any other line must be right, or whoever asks is
told file and line: a mistyped line must not turn into "no such user" and a bounced message.

A virtual user's uid and gid are those of the owner of the home, so an ordinary user's tree needs no root, and in a
tree of root's nobody's mail is handled as root by mistake. Where the file does not have a name, and only for root,
the system's accounts are asked: getpwnam(3), getspnam(3), crypt(3), as DJB's checkpassword does, or PAM where the
variable CHECKPASSWORD_PAM names a service of it.
"""

from __future__ import annotations

import os

from svtree.formats.record import record
from svtree.mail import controls, passwords
from svtree.mail.queue.rewriting import virtual
from svtree.system import atomic
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from svtree.program import Environ

LIMIT: Final = 64 << 20
LONGEST_NAME: Final = 64
# Capital letters are left out because qmail-lspawn looks for local parts in lower case.
LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz0123456789"
SHELL: Final = b"/bin/sh"
# Where this variable is set it names the PAM service that checks the passwords of the system's accounts.
PAM: Final = b"CHECKPASSWORD_PAM"
# The account that owns what belongs to no user, as qmail has it, and one that every system has.
KEEPERS: Final = (b"alias", b"nobody")


class AccountError(Exception):
    """The accounts cannot be read or changed; the text names file, line and reason."""


@record
class Account:
    """Somebody with a mailbox: who handles the mail, and the directory that .qmail files and Maildirs are under."""

    name: bytes
    uid: int
    gid: int
    home: bytes
    shell: bytes
    virtual: bool


@record
class User:
    """A line of the virtual users file."""

    name: bytes
    secret: bytes
    home: bytes


def path(home: bytes) -> bytes:
    """The virtual users file of the qmail directory `home`."""
    return home + b"/users/virtual"


def parse(data: bytes, name: str) -> dict[bytes, User]:
    """The users in the bytes of a virtual users file, in its order; `name` is what complaints call it."""
    users: dict[bytes, User] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip() or line[:1] == b"#":
            continue
        try:
            user = _user(line)
            if user.name in users:
                raise ValueError("the name has been used before")
        except ValueError as error:
            raise AccountError(f"{name}:{number}: {error}") from error
        users[user.name] = user
    return users


def find(name: bytes, environ: Environ) -> Account | None:
    """The account called `name` (no domain), or None. Raises AccountError where it cannot be told."""
    home = controls.home(environ)
    user = _users(home).get(name)
    if user is not None:
        return _virtual(home, user)
    return _system(name) if os.geteuid() == 0 else None


def check(name: bytes, password: bytes, environ: Environ, timestamp: bytes = b"") -> Account | None:
    """The account if `password` opens it, else None; a name that does not exist takes as long as a wrong password.

    A virtual user may log in as NAME@HOST where HOST is in control/locals, as NAME@DOMAIN where control/virtualdomains
    has DOMAIN:PREPEND and the user is called PREPEND-NAME, and with the APOP digest of `timestamp`
    where the secret is known. Raises AccountError where it cannot be told.
    """
    home = controls.home(environ)
    users = _users(home)
    user = users.get(name) or users.get(mailbox_name(name, home))
    try:
        if user is not None:
            return _virtual(home, user) if passwords.opens(user.secret, password, timestamp) else None
        if os.geteuid() == 0:
            return _check_system(name, password, environ.get(PAM))
        like = next((each.secret for each in users.values()), passwords.SCRYPT)
        passwords.spend(password, like)
    except passwords.SecretError as error:
        shown = name.decode("utf-8", "surrogateescape")
        raise AccountError(f"unable to check the password of {shown}: {error}") from error
    return None


def knows_all_secrets(home: bytes) -> bool:
    """Whether there are virtual users, and each one's secret is the password itself. Raises AccountError."""
    users = _users(home)
    return bool(users) and all(each.secret.startswith(passwords.PLAIN) for each in users.values())


def add(home: bytes, name: bytes, password: bytes) -> Account:
    """Write a new virtual user into the qmail directory `home` and make HOME with its Maildir.

    Raises AccountError for a name that is bad or taken, an empty password, or a file that cannot be written.
    """
    import fcntl

    if not password:
        raise AccountError("the password is empty")
    if b"\0" in password or b"\n" in password or b"\r" in password:
        raise AccountError("the password has a byte that POP3 cannot carry")
    try:
        _check_name(name)
        user = _user(name + b":" + passwords.make(password))
        os.makedirs(home + b"/users", 0o755, exist_ok=True)
        # Two at once would each write the file without the other's line.
        lock = os.open(home + b"/users", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _append(home, user)
            made = _make_home(home, user)
        finally:
            os.close(lock)
    except ValueError as error:
        raise AccountError(f"{name.decode('utf-8', 'surrogateescape')}: {error}") from error
    except OSError as error:
        which = os.fsdecode(error.filename or path(home))
        raise AccountError(f"unable to write {which}: {reason(error)}") from error
    return made


def make_maildir(where: bytes, owner: tuple[int, int] | None = None) -> None:
    """Make the Maildir `where` with tmp, new and cur, mode 0700, for `owner` (uid, gid); what is there stays."""
    for each in (where, where + b"/tmp", where + b"/new", where + b"/cur"):
        _directory(each, 0o700, owner)


def preload() -> None:
    """Import now what a check needs: for a parent whose children fork. It is dear, most of all OpenSSL."""
    passwords.preload()
    for name in ("fcntl", "pwd", "svtree.system.privileges", "svtree.system.shadow"):
        __import__(name)


def _users(home: bytes) -> dict[bytes, User]:
    where = path(home)
    shown = where.decode("utf-8", "surrogateescape")
    try:
        data = atomic.read(where, LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise AccountError(f"unable to read {shown}: {reason(error)}") from error
    if len(data) > LIMIT:
        raise AccountError(f"unable to read {shown}: file too big")
    return parse(data, shown)


def _user(line: bytes) -> User:
    """One line; ValueError says what is wrong with it."""
    fields = line.split(b":")
    if not 2 <= len(fields) <= 3:
        raise ValueError("not NAME:SECRET:HOME")
    name, secret = fields[:2]
    home = fields[2] if len(fields) == 3 else b""
    _check_name(name)
    try:
        passwords.understand(secret)
    except passwords.SecretError as error:
        raise ValueError(str(error)) from error
    if b".." in home.split(b"/") or b"\0" in home:
        raise ValueError("the home leads out of where it begins")
    return User(name, secret, home or b"home/" + name)


def _check_name(name: bytes) -> None:
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} bytes")
    if name[0] not in LETTERS or name.translate(None, LETTERS + b"._-"):
        raise ValueError("a name is made of a-z 0-9 . _ - and begins with a letter or digit")


def mailbox_name(name: bytes, home: bytes) -> bytes:
    """NAME of NAME@HOST where HOST is ours, PREPEND-NAME where it is in control/virtualdomains, else the whole."""
    local, _, host = name.rpartition(b"@")
    if not local:
        return name
    files = controls.Controls(home)
    try:
        ours = {each.lower() for each in [*files.lines_or_me("locals"), files.me() or b""]}
        domains = virtual(files.lines("virtualdomains") or ())
    except controls.ControlError as error:
        raise AccountError(str(error)) from error
    if not host or host.lower() in ours:
        return local if host else name
    # As mail for the address would be: by qmail-send's rule for a domain of its own.
    prepend = domains.get(host.lower())
    return prepend + b"-" + local if prepend else name


def _virtual(home: bytes, user: User) -> Account:
    # An absolute HOME takes the place of QMAILHOME, as it does in os.path.join.
    where = os.path.join(home, user.home)
    try:
        found = os.stat(where)
    except OSError as error:
        shown = where.decode("utf-8", "surrogateescape")
        raise AccountError(f"unable to find home {shown}: {reason(error)}") from error
    return Account(user.name, found.st_uid, found.st_gid, where, SHELL, virtual=True)


def _system(name: bytes) -> Account | None:
    from svtree.system.privileges import account

    entry = account(name)
    return None if entry is None else Account(name, entry.uid, entry.gid, entry.home, entry.shell, virtual=False)


def _check_system(name: bytes, password: bytes, service: bytes | None) -> Account | None:
    from svtree.system.shadow import any_secret, secret_of

    found = _system(name)
    if service:
        from svtree.system import pam

        try:
            # Asked even of a name that does not exist, so that it takes as long. Nobody logs in as root.
            right = pam.opens(service, name, password)
        except pam.PamError as error:
            raise AccountError(str(error)) from error
        return found if right and found is not None and found.uid else None
    secret = b"" if found is None else secret_of(name)
    # A locked account has a word that is no hash ("!", "*"): it costs what an unknown name costs.
    if found is None or secret[:1] != b"$":
        passwords.spend(password, any_secret() or passwords.SCRYPT)
        return None
    return found if passwords.opens(secret, password) else None


def _append(home: bytes, user: User) -> None:
    where = path(home)
    if user.name in _users(home):
        raise ValueError("there is such a user already")
    try:
        data = atomic.read(where, LIMIT)
        found = os.stat(where)
        owner: tuple[int, int] | None = (found.st_uid, found.st_gid)
    except FileNotFoundError:
        data = b""
        owner = _owner(home)
    if data and not data.endswith(b"\n"):
        data += b"\n"
    line = b"%s:%s:%s\n" % (user.name, user.secret, b"" if user.home == b"home/" + user.name else user.home)
    atomic.write(where, data + line, mode=0o600, owner=owner)


def _owner(home: bytes) -> tuple[int, int] | None:
    """Whose the tree is, where we are root and it is somebody else's; None: whoever writes."""
    found = os.stat(home)
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 and found.st_uid else None


def keeper(home: bytes) -> tuple[int, int] | None:
    """Who shall own a new user's mail: the tree's owner; in a tree of root's an account without rights.

    Mail is never delivered or read as uid 0: qmail-local and qmail-pop3d both refuse to.
    """
    if os.geteuid() != 0:
        return None
    owner = _owner(home)
    if owner is None:
        entry = next(filter(None, map(_system, KEEPERS)), None)
        owner = (65534, 65534) if entry is None or not entry.uid else (entry.uid, entry.gid)
    return owner


def _make_home(home: bytes, user: User) -> Account:
    owner = keeper(home)
    where = os.path.join(home, user.home)
    above = os.path.dirname(where)
    if not os.path.isdir(above):
        _directory(above, 0o755, _owner(home))
    _directory(where, 0o700, owner)
    make_maildir(where + b"/Maildir", owner)
    return _virtual(home, user)


def _directory(where: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    try:
        os.mkdir(where, mode)
    except FileExistsError:
        return
    # mkdir's mode is cut by the umask.
    os.chmod(where, mode)
    if owner is not None:
        os.chown(where, *owner, follow_symlinks=False)
