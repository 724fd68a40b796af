"""qmail-authority: run a program that is not root, and stay root to check its logins and mailboxes.

No program of the original. It is put before tcpserver with -U or -u; qmail-smtpd finds it by $QMAILAUTHORITY.
"""

from __future__ import annotations

from svtree.mail.smtp import standing
from svtree.program import Chain, Fatal, UsageError, options
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-authority: usage: qmail-authority [ -c checkpassword ] program [ arg ... ]"
# What a checkpassword program runs when the login is good.
GOOD = b"true"


def main(argv: Sequence[bytes], environ: Environ) -> Chain:
    """Start the process that answers, and go on as the program."""
    found, rest = options(argv, "c:", USAGE)
    if not rest:
        raise UsageError(USAGE)
    words = tuple(word for _, value in found for word in value.split())
    try:
        called = standing.begin((*words, GOOD) if words else (), environ)
    except OSError as error:
        raise Fatal(f"unable to start the process that answers: {reason(error)}") from error
    return Chain(tuple(rest), {**environ, standing.VARIABLE: b"%d" % called})
