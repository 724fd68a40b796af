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
from svtree.tcp.connection import Known, Peer, environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ
    from svtree.system.resolver import Resolver

USAGE = (
    "tcpclient: usage: tcpclient [ -hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ]"
    " [ -t timeoutinfo ] host port program"
)
OPTIONS = (("-4", "connect to IPv4 addresses only"), ("-6", "connect to IPv6 addresses only"))
# Where the program finds the connection, to read and to write.
READ, WRITE = 6, 7


class Settings:
    """The options; what is not given is as in the original."""

    def __init__(self, letters: Sequence[tuple[str, bytes]]) -> None:
        """The last of contradicting options counts; UsageError where a value makes no sense."""
        given = dict(letters)
        pairs = {"D": "d", "H": "h", "R": "r", "Q": "q", "v": "q", "6": "4"}
        last = {pairs.get(letter, letter): letter for letter, _ in letters}
        self.quiet = last.get("q") == "q"
        self.verbose = last.get("q") == "v"
        self.remote_host = last.get("h") != "H"
        self.remote_info = last.get("r") != "R"
        self.family = int(last.get("4", 0))
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
        found = client.ipv6(text) or client.leading_ip(text)
        if found is None:
            raise UsageError(USAGE)
        return found


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Connect to the host and port after the options; go on with the program after them, the connection at 6 and 7."""
    letters, rest = options(argv, "dDvqQhHrRi:p:t:T:l:46", USAGE)
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
    made = client.connect(client.addresses(words[0], environ, settings.family), port, settings.plan, warn)
    if made is None:
        return TEMPORARY
    if settings.verbose:
        warn(b"connected to %b port %d" % (made.remote_ip, made.remote_port))
    following = environment(environ, known(environ, settings, made), ())
    try:
        place({READ: made.descriptor, WRITE: made.descriptor})
    except OSError as error:
        raise Fatal(f"unable to set up descriptor {READ}: {reason(error)}") from error
    if made.descriptor not in (READ, WRITE):
        os.close(made.descriptor)
    return Chain(tuple(words[2:]), following)


def known(environ: Environ, settings: Settings, made: client.Connection) -> Known:
    """The connection with the names that are asked for; one that cannot be found out is None."""
    peer = Peer(made.remote_ip, made.remote_port, made.interface)
    if settings.local_host is not None and not settings.remote_host and not settings.remote_info:
        return Known(made.local_ip, made.local_port, settings.local_host, peer)
    from svtree.system import resolver
    from svtree.tcp import identity

    names = resolver.Resolver(environ)
    local_host = settings.local_host
    if local_host is None:
        local_host = host_name(names, made.local_ip)
    remote_host = host_name(names, made.remote_ip) if settings.remote_host else None
    remote_info = None
    if settings.remote_info:
        # An ident server that closes the connection at once must not end us.
        ignore_broken_pipes()
        remote_info = identity.user(peer, made.local_ip, made.local_port, settings.info_timeout)
        as_a_c_program()
    return Known(made.local_ip, made.local_port, local_host, peer, remote_host, remote_info)


def host_name(resolver: Resolver, ip: bytes) -> bytes | None:
    """The name of an address; as in the original, b"" where it has none, and None where nobody can say."""
    try:
        return resolver.name(ip) or b""
    except OSError:
        return None
