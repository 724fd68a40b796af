"""sendmail: send a message, or do some other thing that programs expect of a program of this name.

Follows qmail's sendmail.c: most options of the real sendmail change nothing, since there is only one way that qmail
does it. Beyond it those are understood that today's programs give and that lose nothing by being passed over.
"""

from __future__ import annotations

import os

from svtree.mail import controls
from svtree.mail.beside import called, find
from svtree.program import PERMANENT, Chain, Fatal, UsageError, options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]"
# The original's; then delivery notices (-N, -R, -V), -r for -f, and -A -G -L -O -U -h -n of later sendmails.
LETTERS = "vimte:f:p:o:B:F:E::J::xb:" + "N:R:V:r:A:GL:O:Uh:n"
# What a client of `sendmail -bs` is to qmail-smtpd: this host itself.
LOCAL_CLIENT = {
    b"RELAYCLIENT": b"",
    b"DATABYTES": b"0",
    b"PROTO": b"TCP",
    b"TCPLOCALIP": b"127.0.0.1",
    b"TCPLOCALHOST": b"localhost",
    b"TCPREMOTEIP": b"127.0.0.1",
    b"TCPREMOTEHOST": b"localhost",
    b"TCPREMOTEINFO": b"sendmail-bs",
}
# What would say otherwise than -f who writes.
WRITERS = (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST")


def main(argv: Sequence[bytes], environ: Environ) -> int | Chain:
    """Become qmail-inject, qmail-smtpd or qmail-qread."""
    home = controls.home(environ)
    if not os.access(home, os.X_OK):
        raise Fatal("unable to switch to qmail home directory")
    letters, words = options(argv, LETTERS, USAGE)
    modes = [value[:1] for letter, value in letters if letter == "b"]
    name = called(argv[0])
    for mode in modes:
        if mode == b"s":
            return _chain([b"qmail-smtpd"], environ if b"PROTO" in environ else {**environ, **LOCAL_CLIENT})
        if mode == b"p":
            return _chain([b"qmail-qread"], environ)
        if mode not in (b"m", b"i"):
            raise UsageError(USAGE)
    if name == b"mailq":
        return _chain([b"qmail-qread"], environ)
    if b"i" in modes:
        # Aliases are .qmail files: a database of them is as new as it can be.
        return 0
    if name == b"newaliases":
        raise Fatal("please use fastforward/newaliases instead", PERMANENT)
    return _inject(letters, words, environ)


def _inject(letters: Sequence[tuple[str, bytes]], words: Sequence[bytes], environ: Environ) -> Chain:
    theirs = dict(environ)
    sender = None
    from_header = False
    for letter, value in letters:
        if letter == "t":
            from_header = True
        elif letter in "fr":
            sender = value
        elif letter == "F":
            theirs[b"MAILNAME"] = value
    argv = [b"qmail-inject", b"-H" if from_header else b"-a"]
    if sender is not None:
        argv += [b"-f", sender]
        for name in WRITERS:
            theirs.pop(name, None)
        user, at, host = sender.rpartition(b"@")
        theirs[b"QMAILUSER"] = user if at else sender
        if at:
            theirs[b"QMAILHOST"] = host
    return _chain([*argv, b"--", *words], theirs)


def _chain(argv: Sequence[bytes], environ: Environ) -> Chain:
    return Chain(tuple(argv), environ, file=find(argv[0], environ))
