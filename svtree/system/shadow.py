"""The password hashes of the system's accounts, which the standard library no longer reads (`spwd`, until 3.12)."""

from __future__ import annotations

import ctypes
import os
import pwd


class _Entry(ctypes.Structure):
    # struct spwd of <shadow.h>, as far as it is looked at.
    _fields_ = (("name", ctypes.c_char_p), ("secret", ctypes.c_char_p))


def secret_of(name: bytes) -> bytes:
    """The hash of the account `name`: shadow's, else passwd's; empty where there is none."""
    entry = _library().getspnam(name)
    if entry:
        return entry.contents.secret or b""
    try:
        return os.fsencode(pwd.getpwnam(os.fsdecode(name)).pw_passwd)
    except (KeyError, ValueError):
        return b""


def any_secret() -> bytes:
    """A hash of the kind that this system uses: the first one in the shadow database; empty where there is none."""
    library = _library()
    library.setspent()
    try:
        while entry := library.getspent():
            secret: bytes = entry.contents.secret or b""
            if secret[:1] == b"$":
                return secret
    finally:
        library.endspent()
    return b""


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.getspnam.restype = library.getspent.restype = ctypes.POINTER(_Entry)
    library.getspnam.argtypes = [ctypes.c_char_p]
    return library
