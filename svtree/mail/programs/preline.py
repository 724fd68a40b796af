"""preline: give a program a message with the lines of an mbox before it, from a .qmail file.

Follows preline(1) and preline.c: $UFLINE, $RPLINE and $DTLINE, as qmail-local has set them, then descriptor 0.
"""

from __future__ import annotations

from svtree.mail.delivery.command import CrashedError, feed
from svtree.mail.delivery.message import UnreadableError
from svtree.program import PERMANENT, TEMPORARY, Fatal, UsageError, options
from svtree.system.errors import is_temporary, reason
from svtree.system.signals import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "preline: usage: preline cmd [ arg ... ]"
LINES = ((b"UFLINE", "f"), (b"RPLINE", "r"), (b"DTLINE", "d"))


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run the program; its exit code is ours."""
    ignore_broken_pipes()
    if any(name not in environ for name, _ in LINES):
        raise UsageError(USAGE)
    letters, words = options(argv, "frdFRD", USAGE)
    if not words:
        raise UsageError(USAGE)
    # Of -f and -F the last one counts.
    last = {letter.lower(): letter for letter, _ in letters}
    head = b"".join(environ[name] for name, letter in LINES if last.get(letter) != letter)
    try:
        fed = feed(words, environ, head)
    except CrashedError as error:
        raise Fatal("child crashed") from error
    except UnreadableError as error:
        raise Fatal(f"unable to copy input: {error}") from error
    except OSError as error:
        code = TEMPORARY if is_temporary(error) else PERMANENT
        raise Fatal(b"unable to run " + words[0] + b": " + reason(error).encode(), code) from error
    if fed.trouble is not None:
        raise Fatal(f"unable to copy input: {reason(fed.trouble)}") from fed.trouble
    return fed.code
