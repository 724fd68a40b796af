"""The little of a message that fits on a terminal's line or two: what qbiff and maildirwatch show.

Follows qbiff.c and maildirwatch.c. What comes from outside is shown without a byte that a terminal could take for a
command.
"""

from __future__ import annotations

import os

from svtree.formats.headers import BLANK, HeaderSplitter, HeaderTooLongError, field_name
from svtree.formats.record import record
from svtree.system.streams import BLOCK

# Bytes of subject and body together.
ONE_LINE = 78
TWO_LINES = 158


@record
class Glance:
    """Sender and recipient of the envelope ("?": not known), the From field, and the beginning of the text."""

    sender: bytes
    recipient: bytes
    author: bytes
    text: bytes


def read(source: int, most: int, before: bytes = b"") -> Glance:
    """Look at a message, of whose text `most` bytes count, those of `before` included. Raises OSError."""
    splitter = HeaderSplitter()
    fields: list[bytes] = []
    while not splitter.done:
        block = os.read(source, BLOCK)
        try:
            fields += splitter.feed(block) if block else splitter.end()
        except HeaderTooLongError:
            # What there is of it is more than is shown.
            break
    text = before
    seen = {b"return-path": b"?", b"delivered-to": b"?", b"from": b""}
    for field in fields:
        name = field_name(field)
        value = field.partition(b":")[2].lstrip(BLANK)
        if name == b"subject":
            text = (text + value)[:most]
        elif name == b"from":
            seen[name] = field[:-1]
        elif name in seen and value:
            seen[name] = value[:-1]
    text += splitter.body
    while splitter.body and len(text) < most and (block := os.read(source, BLOCK)):
        text += block
    if splitter.body and len(text) < most and not text.endswith(b"\n"):
        text += b"\n"
    return Glance(seen[b"return-path"], seen[b"delivered-to"], seen[b"from"], text[:most])


def plain(text: bytes, instead: bytes) -> bytes:
    """The text with `instead` for every byte that is not printable ASCII."""
    return bytes(code if 32 <= code <= 126 else instead[0] for code in text)
