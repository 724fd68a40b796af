"""Who is logged in where: the C library's user accounting database, utmp."""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

USER_PROCESS = 7


class _Entry(ctypes.Structure):
    # struct utmpx of <utmpx.h>, as far as it is looked at; what comes after differs from one machine to the next.
    _fields_ = (
        ("kind", ctypes.c_short),
        ("pid", ctypes.c_int),
        ("line", ctypes.c_char * 32),
        ("id", ctypes.c_char * 4),
        ("user", ctypes.c_char * 32),
    )


def terminals(user: bytes) -> Iterator[bytes]:
    """The terminals, as paths below /dev, of the sessions of `user`."""
    library = ctypes.CDLL(None)
    library.getutxent.restype = ctypes.POINTER(_Entry)
    library.setutxent()
    try:
        while entry := library.getutxent():
            found = entry.contents
            if found.kind == USER_PROCESS and found.user == user[:32]:
                yield bytes(found.line)
    finally:
        library.endutxent()
