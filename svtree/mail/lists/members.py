r"""A list on disk: its directory, and the .qmail file that holds its members.

The members are the lines `&user@host` of the list's own .qmail file, where qmail-local itself would send to them. The
line `|svtree-list post DIRECTORY` before them sends instead, with the fields that a list's mail has, and ends with 99,
which has qmail-local leave out the rest. All other lines of that file stay as they are. The directory holds

    address   LIST@HOST, and in a second line the .qmail file
    secret    what cookies are made with; 0600
    lock      held by who changes anything
    asked/    a file for each address and purpose that a question was sent for: when
    bounces/  a file for each member whose mail came back: one byte a day, dots, at most

Everything is changed under the lock and written whole.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, flock

from svtree.formats.record import record
from svtree.mail.lists.cookies import encoded, is_address
from svtree.system import atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMIT = 64 << 20
DAY = 86400
# Seconds within which an address is asked the same thing once only: our questions must not be a way to flood anybody.
ASKED = 3600
# What came back longer ago does not count.
FORGOTTEN = 30 * DAY


class ListError(Exception):
    """The list cannot be used; the text says which file and why."""


@record
class List:
    """A list: its directory, its local part and host, its secret, its .qmail file."""

    directory: bytes
    local: bytes
    host: bytes
    secret: bytes
    file: bytes

    def address(self, *extension: bytes) -> bytes:
        """LIST@HOST, or LIST-EXTENSION@HOST."""
        return b"-".join((self.local, *extension)) + b"@" + self.host


def make(directory: bytes, file: bytes, local: bytes, host: bytes, owner: bytes) -> None:
    """Make a list in the current directory, a home. Raises FileExistsError rather than change a file that is there."""
    os.mkdir(directory, 0o700)
    for name in (b"asked", b"bounces"):
        os.mkdir(directory + b"/" + name, 0o700)
    new = {
        directory + b"/address": b"%s@%s\n%s\n" % (local, host, file),
        directory + b"/secret": os.urandom(32),
        directory + b"/lock": b"",
        file: b"# The members of this list, a line &user@host for each, are kept by svtree-list.\n"
        b"|svtree-list post %s\n" % directory,
        file + b"-owner": b"&" + owner + b"\n",
        file + b"-owner-default": b"|svtree-list bounce %s\n" % directory,
        file + b"-probe-default": b"|svtree-list probe %s\n" % directory,
        file + b"-confirm-default": b"|svtree-list confirm %s\n" % directory,
        file + b"-help": b"|svtree-list help %s\n" % directory,
        file + b"-subscribe": b"|svtree-list subscribe %s\n" % directory,
        file + b"-unsubscribe": b"|svtree-list unsubscribe %s\n" % directory,
    }
    for path, data in new.items():
        mode = 0o600 if path.endswith((b"/secret", b"/lock")) else 0o644
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if os.geteuid() == 0:
        # The list is whose home this is.
        owning = os.stat(b".")
        for path in (directory, directory + b"/asked", directory + b"/bounces", *new):
            os.chown(path, owning.st_uid, owning.st_gid)


def opened(directory: bytes) -> List:
    """The list in a directory. Raises ListError."""
    try:
        words = atomic.read(directory + b"/address", 4096).split(b"\n")
        secret = atomic.read(directory + b"/secret", 4096)
    except OSError as error:
        raise ListError(f"unable to read {os.fsdecode(error.filename or directory)}: {error.strerror}") from error
    local, at, host = words[0].rpartition(b"@")
    if not at or len(words) < 2 or not words[1] or not secret:
        raise ListError(f"{os.fsdecode(directory)}/address is damaged")
    return List(directory, local, host, secret, words[1])


def members(chosen: List) -> list[bytes]:
    """The addresses on the list. Raises OSError."""
    lines = (line.rstrip(b" \t") for line in atomic.read(chosen.file, LIMIT).split(b"\n"))
    return [line[1:] for line in lines if line[:1] == b"&"]


def add(chosen: List, address: bytes) -> bool:
    """Put an address on the list; False where it is on it. Raises OSError, ValueError for what is no address."""
    if not is_address(address):
        raise ValueError("no address that can be on a list")

    def change(lines: Sequence[bytes]) -> list[bytes]:
        known = {line[1:].rstrip(b" \t").lower() for line in lines if line[:1] == b"&"}
        return [*lines] if address.lower() in known else [*lines, b"&" + address]

    return _change(chosen, change)


def remove(chosen: List, address: bytes) -> bool:
    """Take an address off the list; False where it is not on it. Raises OSError."""
    line = b"&" + address.lower()
    done = _change(chosen, lambda lines: [each for each in lines if each.rstrip(b" \t").lower() != line])
    if done:
        _forget(_note(chosen, b"bounces", address))
    return done


def may_ask(chosen: List, purpose: bytes, address: bytes, now: int) -> bool:
    """Whether a question may be sent; then it counts as sent. Raises OSError."""
    lock = _locked(chosen)
    try:
        note = _note(chosen, b"asked", purpose + b"-" + address)
        try:
            if 0 <= now - os.stat(note).st_mtime < ASKED:
                return False
        except FileNotFoundError:
            pass
        for entry in os.listdir(chosen.directory + b"/asked"):
            old = chosen.directory + b"/asked/" + entry
            if now - os.stat(old).st_mtime >= ASKED:
                _forget(old)
        atomic.write(note, b"", mode=0o600, durable=False)
        os.utime(note, (now, now))
        return True
    finally:
        os.close(lock)


def sender(chosen: List) -> bytes:
    """The sender of the list's mail, which qmail-send makes into one for each recipient (VERP)."""
    return chosen.address(b"owner-") + b"-@[]"


def bounced(chosen: List, address: bytes, now: int) -> int:
    """Count a day on which a member's mail came back; how many such days there are now. Raises OSError."""
    lock = _locked(chosen)
    try:
        note = _note(chosen, b"bounces", address)
        try:
            text = atomic.read(note, LIMIT)
            last = int(os.stat(note).st_mtime)
        except FileNotFoundError:
            text, last = b"", 0
        if not 0 <= now - last <= FORGOTTEN:
            text = b""
        if not text or now // DAY != last // DAY:
            text += b"."
            atomic.write(note, text, mode=0o600, durable=False)
            os.utime(note, (now, now))
        return len(text)
    finally:
        os.close(lock)


def _change(chosen: List, change: Callable[[Sequence[bytes]], list[bytes]]) -> bool:
    lock = _locked(chosen)
    try:
        before = atomic.read(chosen.file, LIMIT).removesuffix(b"\n").split(b"\n")
        after = change(before)
        if after == before:
            return False
        status = os.stat(chosen.file)
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        data = b"".join(line + b"\n" for line in after)
        atomic.write(chosen.file, data, mode=status.st_mode & 0o777, owner=owner)
        return True
    finally:
        os.close(lock)


def _locked(chosen: List) -> int:
    descriptor = os.open(chosen.directory + b"/lock", os.O_RDWR | os.O_CLOEXEC)
    flock(descriptor, LOCK_EX)
    return descriptor


def _note(chosen: List, kind: bytes, address: bytes) -> bytes:
    # A digest, since an address may have a slash.
    from hashlib import sha256

    return b"%s/%s/%s" % (chosen.directory, kind, sha256(encoded(address.lower())).hexdigest().encode())


def _forget(path: bytes) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
