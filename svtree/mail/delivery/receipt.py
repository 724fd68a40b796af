"""The note that a message was delivered, for who asked for it: Notice-Requested-Upon-Delivery-To.

Follows qreceipt.c. No note goes to the empty sender or to #@[], so that two machines never thank each other for ever.
"""

from __future__ import annotations

from svtree.formats.addresses import AddressError, quote, rewrite_list, tokens, unquote
from svtree.formats.headers import HeaderSplitter, HeaderTooLongError, field_name
from svtree.mail.delivery.message import UnreadableError, blocks
from svtree.mail.queue import submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.formats.addresses import Tokens
    from svtree.program import Environ

REQUEST = b"notice-requested-upon-delivery-to"
NOBODY = frozenset({b"", b"#@[]"})
TEXT = b"""From: DELIVERY NOTICE SYSTEM <%s>
To: <%s>
Subject: success notice

Hi! This is the qreceipt program. Your message was delivered to the
following address: %s. Thanks for asking.
"""


class AnswerError(Exception):
    """No note can be sent; `message` is qreceipt's, `permanent` says whether another try makes sense."""

    def __init__(self, message: bytes | str, *, permanent: bool) -> None:
        """`message` comes after "qreceipt: fatal: "."""
        super().__init__(message)
        self.message = message
        self.permanent = permanent


def answer(environ: Environ, address: bytes, sender: bytes) -> bool:
    """Read the message on descriptor 0; whether a note was asked for and sent. Raises AnswerError, UnreadableError."""
    asked = False
    name = b""
    for field in _fields():
        kind = field_name(field)
        if kind == b"message-id":
            name = b"Your " + field
        elif kind == REQUEST:
            asked = address in _addresses(field) or asked
    if not asked or sender in NOBODY:
        return False
    shown = quote(sender)
    submission = submit.begin(environ)
    submission.write(TEXT % (shown, shown, address) + name)
    try:
        submission.finish(b"", [sender])
    except submit.SubmitError as error:
        permanent = error.text.startswith("D")
        what = "permanent" if permanent else "temporary"
        raise AnswerError(f"{what} qmail-queue error", permanent=permanent) from error
    return True


def _fields() -> list[bytes]:
    """The header; the body is read too, as whoever writes it expects."""
    splitter = HeaderSplitter()
    fields: list[bytes] = []
    try:
        for block in blocks(0):
            if not splitter.done:
                fields += splitter.feed(block)
    except HeaderTooLongError as error:
        raise UnreadableError("message header too long") from error
    return fields if splitter.done else fields + splitter.end()


def _addresses(field: bytes) -> list[bytes]:
    found: list[bytes] = []

    def note(address: Tokens) -> Tokens:
        found.append(unquote(address))
        return address

    try:
        rewrite_list(tokens(field), note)
    except AddressError as error:
        raise AnswerError(b"unable to parse this: " + field.removesuffix(b"\n"), permanent=True) from error
    return found
