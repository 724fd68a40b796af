"""Sending a message on from a .qmail file: what forward and condredirect do with descriptor 0.

Follows forward.c and condredirect.c, whose messages and exit codes these are.
"""

from __future__ import annotations

from svtree.mail.delivery.forward import resend
from svtree.mail.delivery.message import UnreadableError
from svtree.mail.queue.codes import SubmitError
from svtree.program import PERMANENT, TEMPORARY, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ


def needed(environ: Environ, name: bytes) -> bytes:
    """A variable that qmail-local sets. Raises Fatal where it is not there."""
    try:
        return environ[name]
    except KeyError:
        raise Fatal(name + b" not set", PERMANENT) from None


def redirect(environ: Environ, sender: bytes, recipients: Sequence[bytes]) -> int:
    """Queue the rest of descriptor 0 under $DTLINE; the pid under which it was queued. Raises Fatal."""
    try:
        return resend(environ, needed(environ, b"DTLINE"), 0, sender, recipients)
    except UnreadableError as error:
        raise Fatal(f"unable to read message: {error}") from error
    except SubmitError as error:
        raise Fatal(error.text[1:], PERMANENT if error.text.startswith("D") else TEMPORARY) from error
