"""The text of a bounce: one paragraph a failed recipient, and what stands around them. Pure.

Follows addbounce() and injectbounce() in qmail-send.c (the "QSBMF" form that list managers and people know).
"""

from __future__ import annotations

from svtree.formats import addresses, dates
from svtree.formats.record import record
from svtree.mail.queue.rewriting import DOUBLE_BOUNCE

GONE = (
    b".\nI'm afraid I wasn't able to deliver your message to the following addresses.\n"
    b"This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
)
BOUNCED = b".\nI tried to deliver a bounce message to this address, but the bounce bounced!\n\n"
TOO_LONG_IN_QUEUE = b"I'm not going to try again; this message has been in the queue too long.\n"


@record
class Postmaster:
    """Who bounces are from and where the bounces of bounces go: control files bouncefrom, bouncehost, doublebounce*."""

    bouncefrom: bytes
    bouncehost: bytes
    doublebounceto: bytes


@record
class Notice:
    """A bounce to be queued: what comes before and between the copied texts, and its envelope."""

    sender: bytes
    recipient: bytes
    head: bytes
    middle: bytes


def paragraph(recipient: bytes, report: bytes) -> bytes:
    """What bounce/N says of one recipient: blank lines within are filled, so that a reader can tell paragraphs."""
    text = bytearray(b"<" + recipient.replace(b"\n", b"_") + b">:\n" + report)
    if report and not report.endswith(b"\n"):
        text += b"\n"
    for place in range(len(text) - 2, 0, -1):
        if text[place] == 10 and text[place - 1] == 10:
            text[place] = 47
    return bytes(text) + b"\n"


def notice(who: Postmaster, sender: bytes, now: int) -> Notice | None:
    """The bounce of a message from `sender` (without VERP mark); None for the bounce of a double bounce.

    Between head and middle comes bounce/N, after middle the message itself.
    """
    if sender == DOUBLE_BOUNCE:
        return None
    recipient = sender or who.doublebounceto
    head = (b"Date: %s\nFrom: %s@%s\nTo: %s\nSubject: failure notice\n\nHi. This is the qmail-send program at %s%s") % (
        dates.header(now),
        addresses.quote_box(who.bouncefrom),
        who.bouncehost,
        addresses.quote(recipient),
        who.bouncehost,
        GONE if sender else BOUNCED,
    )
    below = b"a copy of the message" if sender else b"the original bounce"
    middle = b"--- Below this line is %s.\n\nReturn-Path: <%s>\n" % (below, addresses.quote(sender))
    return Notice(b"" if sender else DOUBLE_BOUNCE, recipient, head, middle)
