"""Addresses and lists of addresses in mail headers: bytes into tokens, tokens into addresses, and back.

Follows RFC 822, qmail-header(5), and what notqmail's token822.c and quote.c accept, which is more than RFC 822 does:
8-bit bytes are letters, a missing comma is put in, addresses need not be complete.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    Tokens: TypeAlias = "list[Token]"
    Rewrite: TypeAlias = Callable[[Tokens], Tokens]

# The kinds of tokens that have a text; every other kind is one of the characters in SPECIAL.
ATOM = "atom"
QUOTED = "quoted"
LITERAL = "literal"
COMMENT = "comment"
WORDS = frozenset({ATOM, QUOTED, LITERAL, COMMENT})
SPECIAL = b".,@<>:;"
WHITE = b" \t\r\n"

_ATOM_END = frozenset(WHITE + b'(["' + SPECIAL)
_NOT_IN_ATOM = _ATOM_END | frozenset(b")]\\") | frozenset(range(32)) | frozenset(range(127, 256))
_ESCAPED = frozenset(b'"[]()\\\r\n')
_CLOSING = {40: (41, COMMENT), 34: (34, QUOTED), 91: (93, LITERAL)}
_OPENING = {QUOTED: b'"', LITERAL: b"[", COMMENT: b"("}
_CLOSE = {QUOTED: b'"', LITERAL: b"]", COMMENT: b")", ATOM: b""}
_BOX = frozenset(b"!#$%&'*+-./0123456789=?ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~")


class AddressError(ValueError):
    """This is no list of addresses."""


@record
class Token:
    """A lexical piece: its kind, and the text without quotes, brackets and backslashes where the kind has one."""

    kind: str
    text: bytes = b""


COMMA = Token(",")
_SPECIALS = {code: Token(chr(code)) for code in SPECIAL}


def needs_quoting(box: bytes) -> bool:
    """Tell whether a mailbox name must stand in quotes before its @."""
    return not box or not _BOX.issuperset(box) or box[:1] == b"." or box[-1:] == b"." or b".." in box


def quote_box(box: bytes) -> bytes:
    """A mailbox name as RFC 821 and 822 want it: as it is, or in quotes."""
    if not needs_quoting(box):
        return box
    return b'"' + b"".join(b"\\%c" % code if code in b'\r\n"\\' else b"%c" % code for code in box) + b'"'


def quote(address: bytes) -> bytes:
    """An envelope address as it stands in a header or an SMTP command; the empty address stays empty."""
    box, at, host = address.rpartition(b"@")
    if not at:
        return quote_box(address) if address else b""
    return quote_box(box) + at + host


def tokens(text: bytes) -> Tokens:
    """Cut a header field, or what follows its colon, into tokens. Raises AddressError where something is not closed."""
    found = []
    at = 0
    end = len(text)
    while at < end:
        code = text[at]
        if code in WHITE:
            at += 1
        elif code in _SPECIALS:
            found.append(_SPECIALS[code])
            at += 1
        elif code in b")]":
            raise AddressError(f"{chr(code)} closes nothing")
        else:
            token, at = _delimited(text, at) if code in _CLOSING else _atom(text, at)
            found.append(token)
    return found


def _delimited(text: bytes, start: int) -> tuple[Token, int]:
    """The comment, quoted string or domain literal at `start`, and where it ends. Comments nest, their text is flat."""
    closing, kind = _CLOSING[text[start]]
    letters = bytearray()
    depth = 1
    at = start + 1
    try:
        while True:
            code = text[at]
            if code == closing:
                depth -= 1
                if not depth:
                    return Token(kind, bytes(letters)), at + 1
            elif kind == COMMENT and code == 40:
                depth += 1
            elif code == 92:
                at += 1
                letters.append(text[at])
            else:
                letters.append(code)
            at += 1
    except IndexError:
        raise AddressError(f"{chr(text[start])} is not closed") from None


def _atom(text: bytes, start: int) -> tuple[Token, int]:
    """The word at `start`, and where it ends. One that could not be written as an atom again is a quoted string."""
    letters = bytearray()
    at = start
    end = len(text)
    while at < end:
        code = text[at]
        if code == 92:
            at += 1
            if at == end:
                break
            letters.append(text[at])
        elif code in _ATOM_END:
            break
        else:
            letters.append(code)
        at += 1
    return Token(QUOTED if not letters or not _NOT_IN_ATOM.isdisjoint(letters) else ATOM, bytes(letters)), at


def unquote(address: Iterable[Token]) -> bytes:
    """An address as it stands in an envelope: no comments, no quotes."""
    return b"".join(
        b"[" + token.text + b"]"
        if token.kind == LITERAL
        else token.text
        if token.kind in WORDS
        else token.kind.encode()
        for token in address
        if token.kind != COMMENT
    )


def unparse(field: Sequence[Token], width: int) -> bytes:
    """A header field of these tokens, folded after commas into lines of about `width` bytes; ends with a newline."""
    lines = []
    line = b""
    for number, piece in enumerate(_pieces(field)):
        # Two bytes more than the sum: qmail-inject measures with a newline and a space in between.
        if number == 0 or len(line) + 2 + len(piece) <= width:
            line += piece
        else:
            lines.append(line)
            line = b" " + piece
    lines.append(line)
    return b"\n".join(lines) + b"\n"


def _pieces(field: Sequence[Token]) -> list[bytes]:
    """The text of a field, cut after each comma."""
    pieces = []
    now: list[bytes] = []
    last = ""
    for token in field:
        if _apart(last, token.kind):
            now.append(b" ")
        last = token.kind
        now.append(_written(token))
        if last == ",":
            pieces.append(b"".join(now))
            now = []
    pieces.append(b"".join(now))
    return pieces


def _apart(left: str, right: str) -> bool:
    """Tell whether a space belongs between tokens of these kinds."""
    if not left:
        return False
    return left in (":", ",") or right == "<" or (left in WORDS and right in WORDS)


def _written(token: Token) -> bytes:
    """A token as it stands in a header."""
    if token.kind not in WORDS:
        return token.kind.encode()
    text = token.text
    if not _ESCAPED.isdisjoint(text):
        # A newline is left out unless white space comes after it: it would end the header field.
        text = b"".join(
            b"\\%c" % code if code in _ESCAPED else b"%c" % code
            for at, code in enumerate(text)
            if code not in b"\r\n" or text[at + 1 : at + 2] in (b" ", b"\t")
        )
    return _OPENING.get(token.kind, b"") + text + _CLOSE[token.kind]


def rewrite_list(field: Sequence[Token], rewrite: Rewrite) -> Tokens:
    """A header field with every address in its list put through `rewrite`, from the last to the first.

    The first two tokens are the field's name and colon. Raises AddressError where the list makes no sense; `rewrite`
    has then been called for the addresses after that place.
    """
    return _ListRewriter(field, rewrite).run()


class _ListRewriter:
    """Walks a list of addresses from right to left: an RFC 822 list can be told apart only in that direction."""

    def __init__(self, field: Sequence[Token], rewrite: Rewrite) -> None:
        self._name = list(field[:2])
        self._left = list(field[2:])
        self._rewrite = rewrite
        # Both are kept from right to left.
        self._out: Tokens = []
        self._address: Tokens = []

    def run(self) -> Tokens:
        in_group = False
        word_may_come = True
        while self._left:
            kind = self._left[-1].kind
            if kind in (ATOM, QUOTED, LITERAL):
                if not word_may_come:
                    self._end_address_with_comma()
                word_may_come = False
                self._address.append(self._left.pop())
            elif kind == COMMENT:
                self._out.append(self._left.pop())
            elif kind == ">":
                self._angle()
                word_may_come = False
            else:
                word_may_come = True
                in_group = self._separator(kind, in_group=in_group)
        self._end_address()
        return self._name + self._out[::-1]

    def _separator(self, kind: str, *, in_group: bool) -> bool:
        """Take a token that is neither word nor comment nor >; tells whether a group is open after it."""
        if kind == ",":
            self._end_address()
            self._out.append(self._left.pop())
        elif kind == ";":
            self._end_address_with_comma()
            if in_group:
                raise AddressError("a group within a group")
            self._out.append(self._left.pop())
            return True
        elif kind == ":":
            self._end_address()
            if not in_group:
                raise AddressError("a group without an end")
            self._move(self._out, lambda next_kind: next_kind != ",")
            self._out.extend(self._left[-1:])
            del self._left[-1:]
            return False
        else:
            self._address.append(self._left.pop())
        return in_group

    def _angle(self) -> None:
        """Take <address> and the phrase before it."""
        self._end_address_with_comma()
        self._out.append(self._left.pop())
        self._move(self._address, lambda kind: kind != "<")
        # An address even when it is empty: <> is one.
        self._emit()
        if not self._left:
            raise AddressError("> closes nothing")
        self._out.append(self._left.pop())
        self._move(self._out, lambda kind: kind in (COMMENT, ATOM, QUOTED, "@", "."))

    def _move(self, where: Tokens, wanted: Callable[[str], bool]) -> None:
        while self._left and wanted(self._left[-1].kind):
            where.append(self._left.pop())

    def _end_address(self) -> None:
        if self._address:
            self._emit()

    def _end_address_with_comma(self) -> None:
        if self._address:
            self._emit()
            self._out.append(COMMA)

    def _emit(self) -> None:
        self._out.extend(reversed(self._rewrite(self._address[::-1])))
        self._address.clear()
