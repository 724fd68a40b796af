"""How a local delivery fails: a line for the log or the bounce, and qmail-local's exit code."""

from __future__ import annotations

from svtree.program import PERMANENT, TEMPORARY


class DeliveryError(Exception):
    """The delivery stops here. `message` is qmail-local's line without the newline, `code` 111 (later) or 100 (never).

    An empty message says that whoever failed, a program in a .qmail file, has said it already.
    """

    def __init__(self, message: bytes | str, code: int = TEMPORARY) -> None:
        """Temporary unless said otherwise: mail is kept where there is doubt."""
        super().__init__(message)
        self.message = message if isinstance(message, bytes) else message.encode()
        self.code = code


def permanent(message: bytes | str) -> DeliveryError:
    """The failure that bounces the message."""
    return DeliveryError(message, PERMANENT)
