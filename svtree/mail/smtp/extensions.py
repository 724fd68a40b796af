"""What SMTP has learned since qmail-smtpd: which of it is offered, and what it adds to commands and replies.

Words in control/esmtp, one a line, turn it on: `size` (RFC 1870), `starttls` (RFC 3207), `auth` (RFC 4954),
`smtputf8` (RFC 6531), `enhancedstatuscodes` (RFC 2034). Without the file every reply is qmail-smtpd's. After `auth`
the mechanisms may stand: `auth plain login cram-md5`.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail.smtp import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

SIZE: Final = b"size"
STARTTLS: Final = b"starttls"
AUTH: Final = b"auth"
SMTPUTF8: Final = b"smtputf8"
ENHANCED: Final = b"enhancedstatuscodes"
WORDS: Final = frozenset({SIZE, STARTTLS, AUTH, SMTPUTF8, ENHANCED})
# Mechanisms that send the password itself, and the one that sends a proof of it.
CLEAR: Final = (b"PLAIN", b"LOGIN")
CRAM: Final = b"CRAM-MD5"
# A size that no file system has; more digits are no number.
DIGITS: Final = 20
# What RFC 3463 calls success, where more can be said of it than that.
_SUBJECTS: Final = {table.FROM: b"2.1.0 ", table.TO: b"2.1.5 ", table.AUTHENTICATION: b"2.7.0 "}
# RFC 2034: no code in the greeting, in the answers to HELO and EHLO, nor where the client is told to go on.
_BARE: Final = frozenset({table.HELLO, table.EXTENDED_HELLO})


class ExtensionError(ValueError):
    """control/esmtp has a word that is none."""


@record
class Extensions:
    """What is offered. `mechanisms` are those of `auth`; empty: those that can work."""

    words: frozenset[bytes] = frozenset()
    mechanisms: tuple[bytes, ...] = ()


@record
class Parameters:
    """What followed the address in MAIL: the size announced, if any, and whether SMTPUTF8 was asked for."""

    size: int | None = None
    utf8: bool = False


def parse(lines: Iterable[bytes]) -> Extensions:
    """The lines of control/esmtp. Raises ExtensionError: what is mistyped must not be silently off."""
    words = set()
    mechanisms: tuple[bytes, ...] = ()
    for line in lines:
        word, *rest = line.lower().split() or [b""]
        if word not in WORDS or (rest and word != AUTH):
            raise ExtensionError(f"unknown word {line.decode('ascii', 'replace')}")
        if word == AUTH:
            mechanisms = tuple(each.upper() for each in rest)
            unknown = set(mechanisms) - {*CLEAR, CRAM}
            if unknown:
                raise ExtensionError(f"unknown mechanism {min(unknown).decode('ascii', 'replace')}")
        words.add(word)
    return Extensions(frozenset(words), mechanisms)


def mechanisms(offered: Extensions, *, secure: bool, tls: bool, secrets_known: bool) -> tuple[bytes, ...]:
    """The mechanisms that EHLO names now.

    Where TLS can be had a password is not taken without it. A proof can be checked only against a known secret: unless
    it is asked for by name, it is offered where every secret is known, since clients prefer it to all else.
    """
    if AUTH not in offered.words:
        return ()
    wanted = offered.mechanisms or (*CLEAR, *((CRAM,) if secrets_known else ()))
    return tuple(each for each in wanted if each == CRAM or secure or not tls)


def parameters(argument: bytes, extensions: Extensions) -> Parameters | None:
    """What follows the address of MAIL or RCPT; None where it is no syntax, or nothing that was offered."""
    size: int | None = None
    utf8 = False
    for word in _after(argument).split():
        name, equals, value = word.partition(b"=")
        name = name.upper()
        if name == b"SIZE" and SIZE in extensions.words and value.isdigit() and len(value) <= DIGITS:
            size = int(value)
        elif name == b"SMTPUTF8" and SMTPUTF8 in extensions.words and not equals:
            utf8 = True
        elif name == b"BODY" and value.upper() in (b"7BIT", b"8BITMIME"):
            continue
        elif not (name == b"AUTH" and AUTH in extensions.words and value):
            return None
    return Parameters(size, utf8)


def hello(greeting: bytes, extensions: Extensions, databytes: int, *, tls: bool, methods: tuple[bytes, ...]) -> bytes:
    """The answer to EHLO, without its last CRLF. `tls`: STARTTLS is worth trying now."""
    lines = [greeting, b"PIPELINING", b"8BITMIME"]
    if SIZE in extensions.words:
        lines.append(b"SIZE %d" % databytes)
    if tls:
        lines.append(b"STARTTLS")
    if methods:
        lines.append(b"AUTH " + b" ".join(methods))
    if SMTPUTF8 in extensions.words:
        lines.append(b"SMTPUTF8")
    if ENHANCED in extensions.words:
        lines.append(b"ENHANCEDSTATUSCODES")
    return b"".join(b"250-" + line + b"\r\n" for line in lines[:-1]) + b"250 " + lines[-1]


def enhanced(text: bytes, step: str) -> bytes:
    """A reply of one line with its status code in front: "550 sorry (#5.1.1)" becomes "550 5.1.1 sorry"."""
    if step in _BARE or text[:1] not in (b"2", b"4", b"5"):
        return text
    code, rest = text[:4], text[4:]
    said, mark, number = rest.rpartition(b" (#")
    if mark and number.endswith(b")") and number[:2] == code[:1] + b".":
        return code + number[:-1] + b" " + said
    if code[:1] == b"2" and step in _SUBJECTS:
        return code + _SUBJECTS[step] + rest
    return code + code[:1] + b".0.0 " + rest


def protocol(*, extended: bool, secure: bool, authenticated: bool, utf8: bool) -> bytes:
    """The word after "with" in a Received line: RFC 3848, RFC 6531."""
    if not extended:
        return b"SMTP"
    return (b"UTF8SMTP" if utf8 else b"ESMTP") + (b"S" if secure else b"") + (b"A" if authenticated else b"")


def _after(argument: bytes) -> bytes:
    """What stands after the address, in brackets or not; a ">" in quotes ends nothing."""
    start = argument.find(b"<")
    if start < 0:
        return argument.partition(b":")[2].lstrip(b" ").partition(b" ")[2]
    at = start + 1
    quoted = False
    while at < len(argument):
        byte = argument[at]
        if byte == 0x5C:
            at += 1
        elif byte == 0x22:
            quoted = not quoted
        elif byte == 0x3E and not quoted:
            return argument[at + 1 :]
        at += 1
    return b""
