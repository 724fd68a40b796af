"""The header of a message on its way out: fields come in, are put right, completed, and mined for recipients. Pure.

Follows qmail-header(5) and qmail-inject(8). The time and the process id are handed in.
"""

from __future__ import annotations

from svtree.formats import dates
from svtree.formats.addresses import (
    ATOM,
    COMMENT,
    QUOTED,
    AddressError,
    Token,
    needs_quoting,
    quote,
    rewrite_list,
    tokens,
    unparse,
    unquote,
)
from svtree.formats.headers import field_name
from svtree.mail.inject import settings as letters
from svtree.mail.inject.failure import InjectError, unparsable
from svtree.mail.inject.rewriting import complete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.formats.addresses import Tokens
    from svtree.mail.inject.settings import Settings

WIDTH = 80
COLON = Token(":")
AT = Token("@")

TO_AND_CC = frozenset({b"to", b"cc"})
RECIPIENTS = TO_AND_CC | {b"bcc", b"apparently-to"}
RESENT_RECIPIENTS = frozenset({b"resent-to", b"resent-cc", b"resent-bcc"})
# Of these, unlike those above, a list that cannot be understood is an error.
SENDERS = frozenset(
    {
        b"return-path",
        b"sender",
        b"from",
        b"reply-to",
        b"return-receipt-to",
        b"errors-to",
        b"resent-sender",
        b"resent-from",
        b"resent-reply-to",
    }
)
LISTS = RECIPIENTS | RESENT_RECIPIENTS | SENDERS
RESENT = RESENT_RECIPIENTS | {
    b"resent-sender",
    b"resent-from",
    b"resent-reply-to",
    b"resent-date",
    b"resent-message-id",
}
REMOVED = frozenset({b"bcc", b"resent-bcc", b"return-path", b"content-length"})
# What $QMAILINJECT can have us ignore.
IGNORED = {
    b"from": letters.REPLACE_FROM,
    b"message-id": letters.REPLACE_MESSAGE_ID,
    b"return-path": letters.IGNORE_RETURN_PATH,
}


class Header:
    """A header being made. `sender` is None until an option, a Return-Path or the environment says who it is."""

    def __init__(self, settings: Settings, now: int, pid: int) -> None:
        """`now` and `pid` go into Date and Message-ID."""
        self.sender: bytes | None = None
        self._settings = settings
        self._now = now
        self._pid = pid
        self._seen: set[bytes] = set()
        self._fields: list[bytes] = []
        self._recipients: list[bytes] = []
        self._resent_recipients: list[bytes] = []
        self._to_and_cc: list[bytes] = []

    def complete(self, address: bytes) -> bytes:
        """An address given as an argument, completed. Raises AddressError."""
        return unquote(complete(tokens(quote(address)), self._settings.defaults))

    def recipients(self) -> list[bytes]:
        """The recipients that the header names: of a resent message those to whom it is resent."""
        return self._resent_recipients if self._is_resent() else self._recipients

    def add(self, field: bytes) -> None:
        """Take a field with its newlines. Raises InjectError."""
        name = field_name(field)
        if name is None:
            raise InjectError(b"invalid header field: " + field.removesuffix(b"\n"))
        if name in IGNORED and IGNORED[name] in self._settings.letters:
            return
        self._seen.add(name)
        if name in LISTS:
            try:
                field = self._rewritten(field, name)
            except AddressError as error:
                if name in SENDERS:
                    raise unparsable(field) from error
                # What cannot be understood is passed on as it is; recipients found before the trouble stay.
        if name not in REMOVED:
            self._fields.append(field)

    def finish(self, *, show_sender: bool) -> bytes:
        """The whole header, without the blank line; `sender` is known now. Raises InjectError.

        With `show_sender` it begins with a Return-Path.
        """
        if self.sender is None:
            self._default_sender()
        made = []
        if show_sender:
            made.append(b"Return-Path: <" + quote(self.sender or b"").replace(b"\n", b"_") + b">\n")
        prefix = b"Resent-" if self._is_resent() else b""
        if not self._has(prefix + b"Date"):
            made.append(prefix + b"Date: " + dates.header(self._now) + b"\n")
        if not self._has(prefix + b"Message-ID"):
            unique = b"%s.%d.qmail@%s" % (dates.compact(self._now), self._pid, self._settings.id_host)
            made.append(prefix + b"Message-ID: <" + unique + b">\n")
        if not self._has(prefix + b"From"):
            made.append(prefix + self._default_from())
        if not self._has(prefix + b"To") and not self._has(prefix + b"Cc"):
            made.append(prefix + b"Cc: recipient list not shown: ;\n")
        if not prefix:
            made.append(self._follow_up())
        return b"".join(made + self._fields)

    def _has(self, name: bytes) -> bool:
        return name.lower() in self._seen

    def _is_resent(self) -> bool:
        return not RESENT.isdisjoint(self._seen)

    def _rewritten(self, field: bytes, name: bytes) -> bytes:
        """The field with its addresses completed, and these noted. Raises AddressError."""

        def rewrite(address: Tokens) -> Tokens:
            full = complete(address, self._settings.defaults)
            if name in RESENT_RECIPIENTS:
                self._resent_recipients.append(unquote(full))
            elif name in RECIPIENTS:
                self._recipients.append(unquote(full))
                if name in TO_AND_CC:
                    self._to_and_cc.append(unquote(full))
            elif name == b"return-path":
                self._set_sender(full)
            return full

        # The newline at the end ends the field; a backslash before it must not take it for a letter.
        return unparse(rewrite_list(tokens(field.removesuffix(b"\n")), rewrite), WIDTH)

    def _set_sender(self, address: Sequence[Token]) -> None:
        """Of several addresses the last counts, which is the first to come here; an option counts before all."""
        if self.sender is None:
            # qmail-send makes "box-@host-@[]" into "box-recipient=its.host@host" for each recipient.
            verp = b"-@[]" if letters.VERP_PER_RECIPIENT in self._settings.letters else b""
            self.sender = unquote(address) + verp

    def _default_sender(self) -> None:
        box = self._settings.sender_user
        if letters.VERP_PER_MESSAGE in self._settings.letters:
            box += b"-%d.%d" % (self._now, self._pid)
        if letters.VERP_PER_RECIPIENT in self._settings.letters:
            box += b"-"
        address = [Token(QUOTED, box), *_at(self._settings.sender_host)]
        self._set_sender(complete(address, self._settings.defaults))

    def _default_from(self) -> bytes:
        user = self._settings.user
        box = [Token(QUOTED, user)] if needs_quoting(user) else tokens(user)
        address = complete([*box, *_at(self._settings.host)], self._settings.defaults)
        name = self._settings.full_name
        if name is None:
            shown = address
        elif letters.NAME_IN_COMMENT in self._settings.letters:
            shown = [*address, Token(COMMENT, name)]
        else:
            shown = [Token(QUOTED, name), Token("<"), *address, Token(">")]
        return unparse([Token(ATOM, b"From"), COLON, *shown], WIDTH)

    def _follow_up(self) -> bytes:
        """Mail-Followup-To all of To and Cc, where one of them is a list that the sender reads."""
        if self._has(b"mail-followup-to") or not any(each.lower() in self._settings.lists for each in self._to_and_cc):
            return b""
        shown = [quote(each).replace(b"\n", b"").replace(b"\r", b"") for each in reversed(self._to_and_cc)]
        return b"Mail-Followup-To: " + b",\n  ".join(shown) + b"\n"


def _at(host: bytes | None) -> Tokens:
    """The tokens of "@host"; a host that cannot be understood is one word, as strange as it is."""
    if host is None:
        return []
    try:
        return [AT, *tokens(host)]
    except AddressError:
        return [AT, Token(ATOM, host)]
