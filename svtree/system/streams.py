"""Descriptors 0, 1 and 2 and their like: whole writes, whole reads, one line of complaint."""

from __future__ import annotations

import os

BLOCK = 65536


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`, however many writes it takes."""
    done = os.write(descriptor, data)
    if done < len(data):
        view = memoryview(data)[done:]
        while view:
            view = view[os.write(descriptor, view) :]


def read_all(descriptor: int, limit: int = 1 << 40) -> bytes:
    """Read until end of file or until more than `limit` bytes have come (then limit + 1 bytes are returned)."""
    blocks = []
    size = 0
    while size <= limit:
        block = os.read(descriptor, min(BLOCK, limit + 1 - size))
        if not block:
            break
        blocks.append(block)
        size += len(block)
    return b"".join(blocks)


def complain(line: str | bytes, descriptor: int = 2) -> None:
    """Write one line to standard error in one write; a standard error that is gone is not an error."""
    data = line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")
    try:
        write_all(descriptor, data + b"\n")
    except OSError:
        # Nobody is left to complain to.
        return


def complain_if_heard(line: bytes, descriptor: int = 2) -> None:
    """As `complain`, but never waits: what cannot be written at once, because a pipe is full, is lost.

    For a supervisor, which must not stop because whoever reads its standard error has.
    """
    from select import PIPE_BUF, POLLOUT, poll

    ready = poll()
    ready.register(descriptor, POLLOUT)
    try:
        # A pipe is ready for writing when it has room for this many bytes at least.
        if any(events & POLLOUT for _, events in ready.poll(0)):
            complain(line[: PIPE_BUF - 1], descriptor)
    except OSError:
        return
