"""Sending mail by SMTP, without I/O: replies in, commands and reports out.

Follows RFC 5321 and qmail-remote.c, whose reports these are, byte for byte. Not smtplib: that holds the message in
memory twice, turns every line end into CR LF without regard to a message cut between CR and LF, says nothing in
qmail's words, and takes longer to import than a delivery takes.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.formats.tlshosts import MUST, NEVER, VERIFY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import TypeAlias

    Conversation: TypeAlias = Generator["bytes | None", "Reply", bytes]

# What the driver is asked for in place of a command: to send the message and the dot; to make the connection TLS (no
# reply follows that, and whatever is sent in stands for one).
CONTENT = None
SECURE = b"\0"
# How much of a reply is reported, and how much of one is read before the other side is taken for broken.
REPORTED = 5000
READ = 1 << 20
# The code of a reply that has none: as bad as it gets, as in qmail-remote.
NONSENSE = 999


class EndlessReplyError(Exception):
    """A reply without end."""


class TlsError(Exception):
    """There is no TLS with this server, or not with whom it should be; the text says why."""


class PartialLineError(Exception):
    """The message's last line has no end, and SMTP cannot send that."""


@record
class Hello:
    """How to begin: our name; `extended`: with EHLO, else with HELO as qmail-remote; what is wanted of TLS."""

    name: bytes
    extended: bool = False
    tls: bytes = NEVER


@record
class Reply:
    """A reply: its code, and its text (all lines, each with a newline, without CR) as far as it is reported."""

    code: int
    text: bytes


class ReplyReader:
    """Bytes into replies."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self._unread = b""
        self._code: int | None = None
        self._head = b""
        self._text = b""
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._unread += data

    def take(self) -> Reply | None:
        """The next reply, or None until more has come. Raises EndlessReplyError."""
        while True:
            line, end, self._unread = self._unread.partition(b"\n")
            self._add(line + end)
            if not end:
                return None
            head, self._head = self._head, b""
            if self._code is None:
                self._code = int(head[:3]) if len(head) > 2 and head[:3].isdigit() else NONSENSE
            if head[3:] != b"-":
                reply = Reply(self._code, self._text)
                self._code = None
                self._text = b""
                self._size = 0
                return reply

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > READ:
            raise EndlessReplyError
        self._head += piece[: 4 - len(self._head)]
        self._text += piece.replace(b"\r", b"")[: REPORTED - len(self._text)]


class Transparency:
    """A message with newlines into lines as SMTP sends them: CR LF, and a second dot before a line's first.

    A CR alone ends a line too: sent as it is, another server might see a line end where this one saw none, and after
    it the end of one message and the beginning of a forged one.
    """

    def __init__(self) -> None:
        """At the beginning of a line."""
        self._line_begins = True
        self._carriage = b""

    def feed(self, block: bytes) -> bytes:
        """What can be sent now: all but a final CR, whose LF may be in the next block."""
        data = self._carriage + block
        self._carriage = data[-1:] if data.endswith(b"\r") else b""
        if self._carriage:
            data = data[:-1]
        return self._lines(data)

    def end(self) -> bytes:
        """The rest, and the dot. Raises PartialLineError."""
        rest = self._lines(self._carriage)
        if not self._line_begins:
            raise PartialLineError
        return rest + b".\r\n"

    def _lines(self, data: bytes) -> bytes:
        if not data:
            return b""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._line_begins and data.startswith(b"."):
            data = b"." + data
        self._line_begins = data.endswith(b"\n")
        return data.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")


def converse(
    peer: bytes, hello: Hello, sender: bytes, recipients: Sequence[bytes], reports: list[bytes]
) -> Conversation:
    """Send one message to `peer` (its address, for the reports); addresses are quoted for SMTP already.

    Yields what to send, with its line end, or CONTENT or SECURE; wants the reply to it sent in, first of all the
    greeting (for which it yields nothing to send). The reports on recipients are added to `reports`; returns that on
    the message.
    """
    offered = yield from _introduce(peer, hello)
    if isinstance(offered, bytes):
        return offered
    utf8 = hello.extended and not b"".join([sender, *recipients]).isascii()
    if utf8 and b"SMTPUTF8" not in offered:
        return _final(
            b"D", b"Connected to ", peer, b" but it takes no address that is not ASCII. (#5.6.7)", Reply(0, b"")
        )
    reply = yield b"MAIL FROM:<" + sender + (b"> SMTPUTF8\r\n" if utf8 else b">\r\n")
    if reply.code >= 400:
        return _final(_failed(reply), b"Connected to ", peer, b" but sender was rejected", reply)
    accepted = False
    for recipient in recipients:
        reply = yield b"RCPT TO:<" + recipient + b">\r\n"
        if reply.code >= 400:
            letter = b"h" if reply.code >= 500 else b"s"
            reports.append(letter + peer + b" does not like recipient.\n" + _said(reply) + b"\0")
        else:
            reports.append(b"r\0")
            accepted = True
    if not accepted:
        # What the last recipient was told has been reported with it.
        return _final(b"D", b"Giving up on ", peer, b"", Reply(0, b""))
    reply = yield b"DATA\r\n"
    if reply.code >= 400:
        return _final(_failed(reply), b"", peer, b" failed on DATA command", reply)
    reply = yield CONTENT
    if reply.code >= 400:
        return _final(_failed(reply), b"", peer, b" failed after I sent the message", reply)
    return _final(b"K", b"", peer, b" accepted message", reply)


def _introduce(peer: bytes, hello: Hello) -> Generator[bytes, Reply, frozenset[bytes] | bytes]:
    """Greeting, hello, and TLS as far as it is wanted: the keywords that are offered then, or a report."""
    reply = yield b""
    if reply.code != 220:
        return _final(b"Z", b"Connected to ", peer, b" but greeting failed", reply)
    reply = yield from _say_hello(hello)
    demanded = hello.tls in (MUST, VERIFY)
    offered = _offered(reply)
    if reply.code == 250 and hello.tls != NEVER and b"STARTTLS" in offered:
        begun = yield b"STARTTLS\r\n"
        if begun.code == 220:
            yield SECURE
            reply = yield from _say_hello(hello)
            offered = _offered(reply)
        elif demanded:
            return _final(b"Z", b"Connected to ", peer, b" but it begins no TLS, which control/tlshosts demands", begun)
    elif reply.code == 250 and demanded:
        return _final(b"Z", b"Connected to ", peer, b" but it offers no TLS, which control/tlshosts demands", reply)
    if reply.code != 250:
        return _final(b"Z", b"Connected to ", peer, b" but my name was rejected", reply)
    return offered


def _say_hello(hello: Hello) -> Generator[bytes, Reply, Reply]:
    """EHLO, or HELO where that is not known."""
    if hello.extended:
        reply = yield b"EHLO " + hello.name + b"\r\n"
        if reply.code == 250 or hello.tls in (MUST, VERIFY):
            return reply
    return (yield b"HELO " + hello.name + b"\r\n")


def _offered(reply: Reply) -> frozenset[bytes]:
    """The keywords in the answer to EHLO."""
    lines = reply.text.split(b"\n")[1:]
    return frozenset(line[4:].split(b" ")[0].upper() for line in lines)


def _failed(reply: Reply) -> bytes:
    return b"D" if reply.code >= 500 else b"Z"


def _final(letter: bytes, before: bytes, peer: bytes, after: bytes, reply: Reply) -> bytes:
    return letter + before + peer + after + b".\n" + _said(reply) + b"\0"


def _said(reply: Reply) -> bytes:
    return b"Remote host said: " + reply.text.replace(b"\0", b"?") if reply.text else b""
