"""rblsmtpd: refuse mail from clients that are on a block list."""

from __future__ import annotations

import os

from svtree.program import Chain, UsageError, number, options
from svtree.system.alarm import Alarm, AlarmError
from svtree.system.streams import BLOCK, complain, write_all
from svtree.tcp import blocklists
from svtree.tcp.refusal import GREETING, Refusal, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ
    from svtree.system.resolver import Resolver

USAGE = "rblsmtpd: usage: rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]"
TIMEOUT = 60
# What alarm(2) takes.
LONGEST = (1 << 31) - 1


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Go on with the program after the options, or, for a client that is listed, be an SMTP server that refuses."""
    letters, rest = options(argv, "bBcCt:r:a:", USAGE)
    sources, timeout = settings(letters)
    ip = environ.get(b"TCPREMOTEIP", b"")
    verdict = blocklists.told(environ.get(b"RBLSMTPD"))
    if not rest:
        raise UsageError(USAGE)
    if verdict.decision == blocklists.UNDECIDED:
        verdict = blocklists.ask(sources, ip, lambda: resolver(environ))
    if verdict.decision in (blocklists.UNDECIDED, blocklists.ACCEPT):
        return Chain(tuple(rest), environ)
    refusing = message(verdict.text, permanent=verdict.permanent)
    complain(b"rblsmtpd: %b pid %d: %b" % (ip, os.getpid(), refusing))
    return refuse(refusing, timeout)


def settings(letters: Sequence[tuple[str, bytes]]) -> tuple[list[blocklists.Source], int]:
    """The lists, each with the options before it, and the timeout in seconds."""
    sources = []
    bounce = closed = False
    timeout = TIMEOUT
    for letter, value in letters:
        if letter in "bB":
            bounce = letter == "b"
        elif letter in "cC":
            closed = letter == "c"
        elif letter == "t":
            timeout = number(value)
        else:
            sources.append(blocklists.Source(value, letter == "a", bounce, closed))
    return sources, min(timeout, LONGEST)


def resolver(environ: Environ) -> Resolver:
    """What asks the DNS; dear to import, and not needed where the rules have decided."""
    from svtree.system.resolver import Resolver

    return Resolver(environ)


def refuse(refusing: bytes, timeout: int) -> int:
    """Talk to the client until it leaves or the time is up, which is no error; without any time, say it and hang up."""
    try:
        if not timeout:
            write_all(1, refusing + b"\r\n")
            return 0
        with Alarm(timeout):
            session = Refusal(refusing)
            write_all(1, GREETING)
            while not session.over:
                block = os.read(0, BLOCK)
                if not block:
                    break
                write_all(1, session.feed(block))
    except (OSError, AlarmError):
        # The client has gone, or is taken to have.
        return 0
    return 0
