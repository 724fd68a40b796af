"""tcpclient: connect to a TCP server and run a program that talks to it."""

from __future__ import annotations

import os

from svtree.multicall import search
from svtree.program import TEMPORARY, Chain, Fatal, UsageError, number, options
from svtree.system.descriptors import place
from svtree.system.errors import reason
from svtree.system.signals import as_a_c_program, ignore_broken_pipes
from svtree.system.streams import complain
from svtree.tcp import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ
    from svtree.system.resolver import Resolver

USAGE = (
    "tcpclient: usage: tcpclient [ -hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ]"
    " [ -t timeoutinfo ] host port program"
)
# Where the program finds the connection, to read and to write.
READ, WRITE = 6, 7


class Settings:
    """The options; what is not given is as in the original."""

    def __init__(self, letters: Sequence[tuple[str, bytes]]) -> None:
        """The last of contradicting options counts; UsageError where a value makes no sense."""
        given = dict(letters)
        pairs = {"D": "d", "H": "h", "R": "r", "Q": "q", "v": "q"}
        last = {pairs.get(letter, letter): letter for letter, _ in letters}
        self.quiet = last.get("q") == "q"
        self.verbose = last.get("q") == "v"
        self.remote_host = last.get("h") != "H"
        self.remote_info = last.get("r") != "R"
        self.local_host = given.get("l")
        self.info_timeout = number(given.get("t", b"26"))
        first, second = client.patience(given.get("T", b"2+58"))
        self.plan = client.Plan(
            first=first,
            second=second,
            local_ip=self._local_ip(given.get("i")),
            local_port=number(given.get("p", b"0")) & 0xFFFF,
            delay=last.get("d") != "D",
        )

    @staticmethod
    def _local_ip(text: bytes | None) -> bytes:
        if text is None:
            return client.ANY
        found = client.leading_ip(text)
        if found is None:
            raise UsageError(USAGE)
        return found


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Connect to the host and port after the options; go on with the program after them, the connection at 6 and 7."""
    letters, rest = options(argv, "dDvqQhHrRi:p:t:T:l:", USAGE)
    settings = Settings(letters)
    if not settings.quiet:
        return run(settings, rest, environ)
    try:
        chain = run(settings, rest, environ)
    except UsageError as error:
        return error.code
    except Fatal as error:
        return error.code
    if isinstance(chain, Chain) and search(chain.argv[0], chain.environ) is None:
        # Nobody is to be told that it cannot be run.
        return TEMPORARY
    return chain


def run(settings: Settings, words: Sequence[bytes], environ: Environ) -> int | Chain:
    """Do as main says; errors are told by exceptions, but for addresses that do not answer."""
    if len(words) < 3:
        raise UsageError(USAGE)

    def warn(text: bytes) -> None:
        if not settings.quiet:
            complain(b"tcpclient: " + text)

    port = client.service(words[1])
    made = client.connect(client.addresses(words[0], environ), port, settings.plan, warn)
    if made is None:
        return TEMPORARY
    if settings.verbose:
        warn(b"connected to %b port %d" % (made.remote_ip, made.remote_port))
    following = named(client.environment(environ, made), settings, made)
    try:
        place({READ: made.descriptor, WRITE: made.descriptor})
    except OSError as error:
        raise Fatal(f"unable to set up descriptor {READ}: {reason(error)}") from error
    if made.descriptor not in (READ, WRITE):
        os.close(made.descriptor)
    return Chain(tuple(words[2:]), following)


def named(environ: Environ, settings: Settings, made: client.Connection) -> Environ:
    """The environment with the names that are asked for; one that cannot be found out is not there."""
    if settings.local_host is not None:
        environ[b"TCPLOCALHOST"] = settings.local_host
    if settings.local_host is not None and not settings.remote_host and not settings.remote_info:
        return environ
    from svtree.system import resolver
    from svtree.tcp import identity
    from svtree.tcp.connection import Peer

    names = resolver.Resolver(environ)
    found = []
    if settings.local_host is None:
        found.append((b"TCPLOCALHOST", host_name(names, made.local_ip)))
    if settings.remote_host:
        found.append((b"TCPREMOTEHOST", host_name(names, made.remote_ip)))
    if settings.remote_info:
        # An ident server that closes the connection at once must not end us.
        ignore_broken_pipes()
        peer = Peer(made.remote_ip, made.remote_port)
        found.append((b"TCPREMOTEINFO", identity.user(peer, made.local_ip, made.local_port, settings.info_timeout)))
        as_a_c_program()
    environ.update({name: value for name, value in found if value is not None})
    return environ


def host_name(resolver: Resolver, ip: bytes) -> bytes | None:
    """The name of an address; as in the original, b"" where it has none, and None where nobody can say."""
    try:
        return resolver.name(ip) or b""
    except OSError:
        return None
