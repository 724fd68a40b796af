"""The message that is delivered: a seekable descriptor that is read once for every instruction."""

from __future__ import annotations

import os

from svtree.mail.delivery.failure import DeliveryError, permanent
from svtree.system.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1 << 18


class UnreadableError(Exception):
    """The message cannot be read; the text is the system's reason."""


def rewind(message: int) -> None:
    """Go back to the first byte."""
    try:
        os.lseek(message, 0, os.SEEK_SET)
    except OSError as error:
        raise DeliveryError("Unable to rewind message. (#4.3.0)") from error


def blocks(message: int) -> Iterator[bytes]:
    """The rest of the message in blocks. Raises UnreadableError, so that a write that fails is never taken for it."""
    while True:
        try:
            block = os.read(message, BLOCK)
        except OSError as error:
            raise UnreadableError(reason(error)) from error
        if not block:
            return
        yield block


def refuse_loop(message: int, delivered_to: bytes) -> None:
    """Fail when the header holds the line `delivered_to` already: the message has been here."""
    rewind(message)
    # What is held is the beginning of a line; of one longer than the line looked for, no more than shows that it is.
    held = b""
    try:
        for block in blocks(message):
            *lines, held = (held + block).split(b"\n")
            for line in lines:
                if not line:
                    return
                if line + b"\n" == delivered_to:
                    raise permanent("This message is looping: it already has my Delivered-To line. (#5.4.6)")
            held = held[: len(delivered_to)]
    except UnreadableError as error:
        raise DeliveryError(f"Unable to read message: {error}. (#4.3.0)") from error
