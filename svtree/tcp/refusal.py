"""The SMTP server that lets nobody send anything: what rblsmtpd says to a client that is listed. Pure.

Follows rblsmtpd.c and commands.c of ucspi-tcp 0.88: everything polite is answered politely, everything else with the
reason, which comes from the DNS or the administrator and is made safe for a line of SMTP and of a log.
"""

from __future__ import annotations

# What of a text from the DNS is told.
SHOWN = 200
# The verbs are short; the rest of a line is not looked at, however long it is.
KEPT = 512
POLITE = frozenset((b"helo", b"ehlo", b"mail", b"rset", b"noop"))
GREETING = b"220 rblsmtpd.local\r\n"
OK = b"250 rblsmtpd.local\r\n"
GOODBYE = b"221 rblsmtpd.local\r\n"
_SAFE = bytes(byte if 32 <= byte <= 126 else 63 for byte in range(256))


def message(text: bytes, *, permanent: bool) -> bytes:
    """The reply that refuses, without its line end."""
    return ((b"553 " if permanent else b"451 ") + text[:SHOWN]).translate(_SAFE)


class Refusal:
    """A session: bytes from the client in, bytes for it out, until `over`."""

    def __init__(self, message: bytes) -> None:
        """`message` is what refuses, without its line end."""
        self._message = message + b"\r\n"
        self._partial = b""
        self.over = False

    def feed(self, block: bytes) -> bytes:
        """The replies to the lines that are whole now, up to the client's good-bye."""
        *lines, partial = (self._partial + block).split(b"\n")
        self._partial = partial[:KEPT]
        out = []
        for line in lines:
            verb = line.removesuffix(b"\r").partition(b" ")[0].lower()
            if verb == b"quit":
                self.over = True
                out.append(GOODBYE)
                break
            out.append(OK if verb in POLITE else self._message)
        return b"".join(out)
