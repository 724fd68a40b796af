"""The QMQP server as a pure machine: a message from a host that has no queue of its own, for anybody. See `stream`.

Follows <https://cr.yp.to/proto/qmqp.html> and qmail-qmqpd.c: one message a connection, a netstring of netstrings: the
message, the sender, the recipients. All are taken or none. Who may connect is tcpserver's business.
"""

from __future__ import annotations

from svtree.formats import netstring
from svtree.mail.quick.stream import (
    COST,
    MOST_RECIPIENTS,
    RESOURCES,
    Abandon,
    Begin,
    End,
    EndedError,
    Finish,
    Reply,
    Stream,
    Write,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.mail.quick.stream import Conversation

# Digits that the outer length may have, colon included.
DIGITS = 100
UNACCEPTABLE = b"Dsorry, I can't accept addresses like that (#5.1.3)"


def converse() -> Conversation:
    """Serve one client; ends with End."""
    try:
        yield from _take(Stream())
        yield End(0)
    except EndedError as error:
        yield End(error.code)


def _take(stream: Stream) -> Conversation:
    stream.left = DIGITS
    stream.left = yield from stream.length()
    size = yield from stream.length()
    yield Begin()
    while size:
        piece = yield from stream.some(size)
        size -= len(piece)
        yield Write(piece)
    yield from stream.comma()
    sender = yield from stream.address()
    acceptable = sender is not None
    recipients: list[bytes] = []
    room = MOST_RECIPIENTS
    while stream.left:
        recipient = yield from stream.address()
        if recipient is None:
            acceptable = False
            continue
        recipients.append(recipient)
        room -= len(recipient) + COST
        if room < 0:
            raise EndedError(RESOURCES)
    stream.left = 1
    yield from stream.comma()
    if sender is None or not acceptable:
        yield Abandon()
        reply = UNACCEPTABLE
    else:
        reply = yield Finish(sender, tuple(recipients))
    yield Reply(netstring.encode(reply))
