"""The QMTP server as a pure machine: SMTP's work without its waiting. See `stream`.

Follows <https://cr.yp.to/proto/qmtp.txt> and qmail-qmtpd.c: message after message, each a netstring that begins with LF
or CR (lines then end with CR LF), a netstring with the sender, and one with the recipients, which are netstrings. Each
recipient is answered. Two things are not the original's: it takes a recipient's length that has other bytes than digits
for some number, and it forgets replies that it has not sent when the client then breaks the protocol.
"""

from __future__ import annotations

from svtree.formats import netstring
from svtree.formats.record import record
from svtree.mail.quick.stream import (
    ADDRESS,
    BROKEN,
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
    from collections.abc import Callable

    from svtree.mail.quick.stream import Conversation, Reading

BAD_SENDER = b"Dunacceptable sender (#5.1.7)"
TOO_BIG = b"Dsorry, that message size exceeds my databytes limit (#5.3.4)"
DENIED = netstring.encode(b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)")
UNUSABLE = netstring.encode(b"Dsorry, I can't handle that recipient (#5.1.3)")


@record
class Policy:
    """What the administrator has decided, for one connection; see svtree.mail.smtp.session.Policy."""

    relay: bytes | None
    accepts: Callable[[bytes], bool | None]
    databytes: int


@record
class Recipients:
    """Those that are taken, and for each that was given the reply, None where that is what becomes of the message."""

    taken: tuple[bytes, ...]
    replies: tuple[bytes | None, ...]


def converse(policy: Policy) -> Conversation:
    """Serve one client; ends with End."""
    stream = Stream()
    try:
        while True:
            yield from _take(stream, policy)
    except EndedError as error:
        yield End(error.code)


def _take(stream: Stream, policy: Policy) -> Conversation:
    size = yield from stream.length()
    if not size:
        raise EndedError(BROKEN)
    yield Begin()
    fits = yield from _message(stream, size, policy.databytes)
    yield from stream.comma()
    sender = yield from stream.address()
    recipients = yield from _recipients(stream, policy)
    reply = b""
    if sender is not None and fits and recipients.taken:
        reply = yield Finish(sender, recipients.taken)
    else:
        yield Abandon()
        reply = BAD_SENDER if fits else TOO_BIG
    reply = netstring.encode(reply)
    yield Reply(b"".join(reply if each is None else each for each in recipients.replies))


def _message(stream: Stream, size: int, most: int) -> Reading[bool]:
    """Pass the message on; whether it has no more than `most` bytes (0: any number). What is too much is read."""
    first = yield from stream.take(1)
    if first not in (b"\n", b"\r"):
        raise EndedError(BROKEN)
    size -= 1
    written = 0
    carriage = b""
    while size:
        piece = yield from stream.some(size)
        size -= len(piece)
        if first == b"\r":
            piece = carriage + piece
            # Its LF may be in the next piece.
            carriage = piece[-1:] if size and piece.endswith(b"\r") else b""
            piece = (piece[:-1] if carriage else piece).replace(b"\r\n", b"\n")
        written += len(piece)
        if piece and not 0 < most < written:
            yield Write(piece)
    return not 0 < most < written


def _recipients(stream: Stream, policy: Policy) -> Reading[Recipients]:
    taken: list[bytes] = []
    replies: list[bytes | None] = []
    room = MOST_RECIPIENTS
    stream.left = yield from stream.length()
    while stream.left:
        size = yield from stream.length()
        if size >= stream.left:
            raise EndedError(BROKEN)
        if size + len(policy.relay or b"") >= ADDRESS:
            yield from stream.skip(size)
            replies.append(UNUSABLE)
        else:
            address = yield from stream.take(size)
            replies.append(_verdict(address, policy))
            if replies[-1] is None:
                taken.append(address + (policy.relay or b""))
        yield from stream.comma()
        room -= min(size, ADDRESS) + COST
        if room < 0:
            raise EndedError(RESOURCES)
    stream.left = None
    yield from stream.comma()
    return Recipients(tuple(taken), tuple(replies))


def _verdict(address: bytes, policy: Policy) -> bytes | None:
    """The reply to a recipient that is not taken."""
    if policy.relay is None:
        accepted = policy.accepts(address)
        if accepted is None:
            raise EndedError(RESOURCES)
        if not accepted:
            return DENIED
    return UNUSABLE if b"\0" in address else None
