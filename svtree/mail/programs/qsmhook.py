"""qsmhook: run a program that was written to deliver for sendmail, from a .qmail file.

Follows qsmhook.c of qmail 1.00: the mailer flags of sendmail.cf as options; %u, %h and %g in the program's arguments
stand for the recipient's user and host and for the sender, %% for a percent sign.
"""

from __future__ import annotations

from svtree.mail.delivery.command import CrashedError, feed
from svtree.mail.delivery.message import UnreadableError
from svtree.program import PERMANENT, Fatal, options
from svtree.system.errors import is_temporary
from svtree.system.signals import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from svtree.program import Environ

USAGE = "qsmhook: usage: qsmhook [ -DFlMmnPs ] [ -x prefix ] program [ arg ... ]"
NEEDED = (b"DTLINE", b"RPLINE", b"UFLINE", b"LOCAL", b"HOST", b"SENDER")
PERCENT = 37


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Run the program on the message; its exit code is ours."""
    ignore_broken_pipes()
    if any(name not in environ for name in NEEDED):
        raise Fatal("incorrect usage", PERMANENT)
    letters, words = options(argv, "DFlMmnPsx:", USAGE)
    if not words:
        raise Fatal("incorrect usage", PERMANENT)
    given = {letter for letter, _ in letters}
    user = environ[b"LOCAL"]
    for letter, value in letters:
        if letter == "x" and user.lower().startswith(value.lower()):
            user = user[len(value) :]
    head = b"" if "n" in given else environ[b"UFLINE"]
    if "P" in given:
        head += environ[b"RPLINE"]
    if "l" in given:
        head += environ[b"DTLINE"]
    values = {PERCENT: b"%", 103: environ[b"SENDER"], 104: environ[b"HOST"], 117: user}
    return _run([_filled(word, values) for word in words], environ, head)


def _filled(word: bytes, values: Mapping[int, bytes]) -> bytes:
    """An argument with every %x replaced; what stands for nothing is left out, and so is a percent sign at the end."""
    parts = []
    escaped = False
    for code in word:
        if escaped:
            parts.append(values.get(code, b""))
            escaped = False
        elif code == PERCENT:
            escaped = True
        else:
            parts.append(b"%c" % code)
    return b"".join(parts)


def _run(words: Sequence[bytes], environ: Environ, head: bytes) -> int:
    try:
        return feed(words, environ, head).code
    except UnreadableError as error:
        raise Fatal("unable to read message") from error
    except CrashedError as error:
        raise Fatal("temporary problem") from error
    except OSError as error:
        if is_temporary(error):
            raise Fatal("temporary problem") from error
        raise Fatal("command not found", PERMANENT) from error
