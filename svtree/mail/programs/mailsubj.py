"""mailsubj: send standard input as a message with a subject.

Follows mailsubj(1): the subject, then the recipients, as they stand in the fields Subject and To.
"""

from __future__ import annotations

from svtree.mail.beside import find
from svtree.mail.delivery.command import CrashedError, feed
from svtree.mail.delivery.message import UnreadableError
from svtree.program import Fatal, UsageError
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "mailsubj: usage: mailsubj subject recip ..."


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run qmail-inject; its exit code is ours."""
    if len(argv) < 2:
        raise UsageError(USAGE)
    ignore_broken_pipes()
    # A newline in an argument must not begin another header field.
    subject, *recipients = (word.replace(b"\n", b" ") for word in argv[1:])
    head = b"Subject: %s\nTo: %s\n\n" % (subject, b" ".join(recipients))
    try:
        return feed([find(b"qmail-inject", environ)], environ, head).code
    except CrashedError as error:
        raise Fatal("qmail-inject crashed") from error
    except UnreadableError as error:
        raise Fatal(f"unable to read standard input: {error}") from error
    except OSError as error:
        raise Fatal(f"unable to run qmail-inject: {reason(error)}") from error
