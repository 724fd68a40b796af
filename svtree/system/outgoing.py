"""Connections to elsewhere, with an end to every wait.

Imports the C module behind `socket`: the Python one builds its enums at import, which costs a small program 5 ms.
"""

from __future__ import annotations

import errno
from _socket import AF_INET, AF_INET6, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_STREAM, TCP_NODELAY, socket

PORTS = range(1, 65536)


def connect(address: str, port: int, seconds: float) -> socket:
    """Connect to an IPv4 or IPv6 address within so many seconds; the caller closes the socket.

    Raises TimeoutError when the other side, or the kernel waiting for it, gave no answer, another OSError otherwise.
    """
    if port not in PORTS:
        raise OSError(errno.EADDRNOTAVAIL, "no such port")
    connection = socket(AF_INET6 if ":" in address else AF_INET, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        connection.settimeout(seconds)
        connection.connect((address, port))
        # A dialogue of short lines, each in one write: nothing is gained by waiting for more to send.
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection
