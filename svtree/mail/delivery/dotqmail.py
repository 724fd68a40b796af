"""Finding and reading the .qmail file that controls an address. The current directory is the recipient's home.

Follows dot-qmail(5) and qmail-local.c: a home or file that others may write is not trusted, and whatever may be in
order at the next try defers the mail.
"""

from __future__ import annotations

import errno
import os
import stat

from svtree.formats.dotqmail import candidates, safe_extension
from svtree.formats.record import record
from svtree.mail.delivery.failure import DeliveryError
from svtree.system.errors import is_temporary, reason
from svtree.system.streams import complain, read_all

# conf-patrn: the mode bits that a home directory and a .qmail file must not have.
UNTRUSTED = 0o002
# Far beyond any list of recipients that a person or a list manager keeps in a .qmail file.
LIMIT = 64 << 20
# Files that are there but closed to us: not the same as not there.
CLOSED = frozenset({errno.EPERM, errno.EACCES})


@record
class DotQmail:
    """A .qmail file: its text, whether its execute bit says that it only forwards, where $DEFAULT begins in EXT."""

    text: bytes
    only_forward: bool
    default: int | None


def check_home(*, show: bool) -> None:
    """Fail unless mail may be delivered into this home now; with `show`, warn of a sticky one."""
    try:
        mode = os.stat(b".").st_mode
    except OSError as error:
        raise DeliveryError(f"Unable to stat home directory: {reason(error)}. (#4.3.0)") from error
    if mode & UNTRUSTED:
        raise DeliveryError("Uh-oh: home directory is writable. (#4.7.0)")
    if mode & stat.S_ISVTX:
        if not show:
            raise DeliveryError("Home directory is sticky: user is editing his .qmail file. (#4.2.1)")
        complain("Warning: home directory is sticky.")


def find(dash: bytes, extension: bytes) -> DotQmail | None:
    """The file that controls an address, or None."""
    for candidate in candidates(dash, extension):
        descriptor = _open(candidate.name)
        if descriptor is None:
            continue
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                continue
            if mode & UNTRUSTED:
                raise DeliveryError("Uh-oh: .qmail file is writable. (#4.7.0)")
            text = read_all(descriptor, LIMIT)
        except OSError as error:
            raise _cannot_open(candidate.name, error) from error
        finally:
            os.close(descriptor)
        if len(text) > LIMIT:
            raise DeliveryError("Out of memory. (#4.3.0)")
        return DotQmail(text, bool(mode & stat.S_IXUSR), candidate.default)
    return None


def new_sender(sender: bytes, local: bytes, host: bytes, dash: bytes, extension: bytes) -> bytes:
    """The envelope sender of forwarded mail: the sender itself, or the list's owner where there is an -owner file.

    With an -owner-default file too it is one that qmail-send makes a different address of for each recipient (VERP).
    """
    if sender in (b"", b"#@[]"):
        return sender
    name = b".qmail" + dash + safe_extension(extension) + b"-owner"
    if not _exists(name):
        return sender
    if _exists(name + b"-default"):
        return local + b"-owner-@" + host + b"-@[]"
    return local + b"-owner@" + host


def _open(name: bytes) -> int | None:
    try:
        # Not to wait for the writer of a FIFO by that name.
        return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if is_temporary(error) or error.errno in CLOSED:
            raise _cannot_open(name, error) from error
        return None


def _exists(name: bytes) -> bool:
    try:
        os.stat(name)
    except OSError as error:
        if is_temporary(error):
            raise _cannot_open(name, error) from error
        return False
    return True


def _cannot_open(name: bytes, error: OSError) -> DeliveryError:
    return DeliveryError(b"Unable to open %s: %s. (#4.3.0)" % (name, reason(error).encode()))
