"""tcp-env: put what tcpserver would have put there into the environment of a program that inetd runs.

Follows tcp-env(1) and tcp-env.c: the connection is descriptor 0. Where $PROTO is TCP already, nothing is changed.
"""

from __future__ import annotations

import _socket

from svtree.program import TEMPORARY, Chain, UsageError, number, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ
    from svtree.system.resolver import Resolver

USAGE = "tcp-env: usage: tcp-env [ -rR ] [ -t timeout ] program [ arg ... ]"
TIMEOUT = b"30"
MAPPED = "::ffff:"
NAMES = (b"TCPLOCALHOST", b"TCPREMOTEHOST", b"TCPREMOTEINFO")


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Look, ask, and become the program; 111 without a word where descriptor 0 is no connection."""
    letters, words = options(argv, "rRt:", USAGE)
    if not words:
        raise UsageError(USAGE, code=TEMPORARY)
    if environ.get(b"PROTO") == b"TCP":
        return Chain(tuple(words), environ)
    try:
        local, remote = _ends()
    except OSError:
        return TEMPORARY
    told = {name: value for name, value in environ.items() if name not in NAMES}
    told |= {
        b"PROTO": b"TCP",
        b"TCPLOCALIP": local[0],
        b"TCPLOCALPORT": b"%d" % local[1],
        b"TCPREMOTEIP": remote[0],
        b"TCPREMOTEPORT": b"%d" % remote[1],
    }
    # They cost much to import, and nothing is asked where a program before us has found it out.
    from svtree.system.resolver import Resolver

    names = Resolver(environ)
    found = {b"TCPLOCALHOST": _name(names, local[0]), b"TCPREMOTEHOST": _name(names, remote[0])}
    asked = [letter == "r" for letter, _ in letters if letter in "rR"]
    if not asked or asked[-1]:
        from svtree.system.signals import as_a_c_program, ignore_broken_pipes
        from svtree.tcp import identity
        from svtree.tcp.connection import Peer

        # An ident server that closes the connection at once must not end us.
        ignore_broken_pipes()
        patience = number(next((value for letter, value in reversed(letters) if letter == "t"), TIMEOUT))
        found[b"TCPREMOTEINFO"] = identity.user(Peer(*remote), *local, patience)
        as_a_c_program()
    told |= {name: value for name, value in found.items() if value is not None}
    return Chain(tuple(words), told)


def _ends() -> tuple[tuple[bytes, int], tuple[bytes, int]]:
    """Address and port of both ends of descriptor 0, which stays open. Raises OSError."""
    connection = _socket.socket(fileno=0)
    try:
        if connection.family not in (_socket.AF_INET, _socket.AF_INET6):
            raise OSError("not a connection of TCP")
        return _plain(connection.getsockname()), _plain(connection.getpeername())
    finally:
        connection.detach()


def _plain(name: tuple[str, int]) -> tuple[bytes, int]:
    """Some inetds accept IPv4 at IPv6 sockets."""
    return name[0].removeprefix(MAPPED).encode(), name[1]


def _name(names: Resolver, ip: bytes) -> bytes | None:
    """The host name; None where there is none, `softdnserror` where nobody can say."""
    if b":" in ip:
        return None
    try:
        name = names.name(ip)
    except OSError:
        return b"softdnserror"
    return name.lower() if name else None
