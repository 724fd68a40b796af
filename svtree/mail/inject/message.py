"""A message from a descriptor, its header put right, to wherever it goes: the header whole, the body block by block."""

from __future__ import annotations

import os

from svtree.formats.headers import HeaderSplitter, HeaderTooLongError
from svtree.mail.inject.failure import InjectError
from svtree.program import TEMPORARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.mail.inject.header import Header

BLOCK = 1 << 16


def read_header(source: int, header: Header) -> bytes:
    """Read until the header has ended, its fields added to `header`; what was read beyond it. Raises InjectError."""
    splitter = HeaderSplitter()
    while not splitter.done:
        block = _read(source)
        try:
            fields = splitter.feed(block) if block else splitter.end()
        except HeaderTooLongError as error:
            raise InjectError("message header too long") from error
        for field in fields:
            header.add(field)
    return splitter.body


def pass_body(source: int, body: bytes, write: Callable[[bytes], None]) -> None:
    """Write `body` and the rest of the message; a last line without a newline gets one. Raises InjectError.

    Where `body` is empty the message has ended with its header.
    """
    last = b"\n"
    block = body
    while block:
        write(block)
        last = block[-1:]
        block = _read(source)
    if last != b"\n":
        write(b"\n")


def _read(source: int) -> bytes:
    try:
        return os.read(source, BLOCK)
    except OSError as error:
        raise InjectError("read error", TEMPORARY) from error
