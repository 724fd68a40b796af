"""How qmail-inject fails: a message and an exit code."""

from __future__ import annotations

from svtree.program import PERMANENT


class InjectError(Exception):
    """The message is not sent. `message` is what comes after "qmail-inject: fatal: ", `code` 100 or 111."""

    def __init__(self, message: bytes | str, code: int = PERMANENT) -> None:
        """Permanent unless said otherwise: it is the message or the call that is wrong."""
        super().__init__(message)
        self.message = message if isinstance(message, bytes) else message.encode()
        self.code = code


def unparsable(line: bytes) -> InjectError:
    """A header field, or what was to become one, that makes no sense."""
    return InjectError(b"unable to parse this line:\n" + line.removesuffix(b"\n"))
