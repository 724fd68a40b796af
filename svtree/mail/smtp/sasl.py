"""The three ways in which SMTP clients log in: PLAIN (RFC 4616), LOGIN and CRAM-MD5 (RFC 2195). Pure.

One exchange is `Sasl`: lines of the client's in, and out a challenge to send, a login to check, or an error.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PLAIN: Final = b"PLAIN"
LOGIN: Final = b"LOGIN"
CRAM: Final = b"CRAM-MD5"
# The longest login that the checkpassword interface carries.
LONGEST: Final = 512


class SaslError(Exception):
    """What the client sent is no answer; the text is a key of table.STEPS[AUTHENTICATION]."""


@record
class Challenge:
    """Send this, in base64, and wait for the answer."""

    text: bytes


@record
class Login:
    """Check this. `proof` is the digest that CRAM-MD5 makes of the secret and `password`, the challenge; else empty."""

    user: bytes
    password: bytes
    proof: bytes = b""

    def packed(self) -> bytes:
        """As checkpassword programs read it at descriptor 3."""
        return b"%s\0%s\0%s\0" % (self.user, self.password, self.proof)


class Sasl:
    """One AUTH command and what follows it."""

    def __init__(self, mechanism: bytes, challenge: bytes) -> None:
        """`challenge` is what CRAM-MD5 asks with: "<", something that never comes twice, ">"."""
        self._mechanism = mechanism
        self._challenge = challenge
        self._user: bytes | None = None

    def start(self, initial: bytes | None) -> Challenge | Login:
        """Begin; `initial` is what stood behind the mechanism's name, if anything. Raises SaslError."""
        if initial is not None:
            if self._mechanism == CRAM:
                raise SaslError("malformed")
            # RFC 4954: "=" is an answer of no bytes.
            return self._take(b"" if initial == b"=" else decode(initial))
        if self._mechanism == CRAM:
            return Challenge(self._challenge)
        return Challenge(b"Username:" if self._mechanism == LOGIN else b"")

    def answer(self, line: bytes) -> Challenge | Login:
        """Go on with a line of the client's. Raises SaslError."""
        if line == b"*":
            raise SaslError("canceled")
        return self._take(decode(line))

    def _take(self, text: bytes) -> Challenge | Login:
        if self._mechanism == PLAIN:
            return self._plain(text)
        if self._mechanism == CRAM:
            user, space, proof = text.rpartition(b" ")
            if not space:
                raise SaslError("malformed")
            return _login(user, self._challenge, proof)
        if self._user is None:
            self._user = text
            return Challenge(b"Password:")
        return _login(self._user, text)

    @staticmethod
    def _plain(text: bytes) -> Login:
        fields = text.split(b"\0")
        # To act for somebody else is not on offer.
        if len(fields) != 3 or fields[0] not in (b"", fields[1]):
            raise SaslError("malformed")
        return _login(fields[1], fields[2])


def encode(text: bytes) -> bytes:
    """Base64, without a line end."""
    from binascii import b2a_base64

    return b2a_base64(text, newline=False)


def decode(line: bytes) -> bytes:
    """What a line in base64 means. Raises SaslError."""
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(line, strict_mode=True)
    except Error as error:
        raise SaslError("malformed") from error


def _login(user: bytes, password: bytes, proof: bytes = b"") -> Login:
    login = Login(user, password, proof)
    if not user or not password or login.packed().count(b"\0") != 3 or len(login.packed()) > LONGEST:
        raise SaslError("malformed")
    return login
