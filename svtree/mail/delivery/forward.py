"""Forwarding: the message goes back into the queue, as it came, under this address's Delivered-To line."""

from __future__ import annotations

from svtree.mail.delivery.failure import DeliveryError, permanent
from svtree.mail.delivery.message import UnreadableError, blocks
from svtree.mail.queue import submit
from svtree.mail.queue.codes import READ, SubmitError, explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ


def forward(environ: Environ, head: bytes, message: int, sender: bytes, recipients: Sequence[bytes]) -> int:
    """Queue `head` and the rest of the message for `recipients`; the pid under which it was queued.

    Raises DeliveryError with the queue's own text.
    """
    try:
        try:
            return resend(environ, head, message, sender, recipients)
        except UnreadableError as error:
            raise SubmitError(READ) from error
    except SubmitError as error:
        text = error.text or explain(error.code)
        report = f"Unable to forward message: {text[1:]}."
        raise permanent(report) if text.startswith("D") else DeliveryError(report) from error


def resend(environ: Environ, head: bytes, message: int, sender: bytes, recipients: Sequence[bytes]) -> int:
    """Queue `head` and the rest of the message; the pid. Raises UnreadableError or SubmitError, and nothing is sent."""
    submission = submit.begin(environ)
    try:
        submission.write(head)
        for block in blocks(message):
            submission.write(block)
    except UnreadableError:
        submission.abandon()
        raise
    return submission.finish(sender, recipients)
