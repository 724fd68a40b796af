"""Talking to a server for a person at a terminal: connect, say something, show what comes back. One process.

The originals are shell scripts around tcpclient: `tcpclient -RHl0 -- host port sh -c '...' | cat -v`. What they print
and how they end is kept, so what cannot be done is told in tcpclient's name; the three or four processes are not.
"""

from __future__ import annotations

import os

from svtree.program import TEMPORARY, Fatal
from svtree.system.errors import reason
from svtree.system.signals import as_a_c_program, ignore_broken_pipes
from svtree.system.streams import BLOCK, complain, write_all
from svtree.tcp import client
from svtree.tcp.lines import DelCr, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from svtree.program import Environ


def reach(host: bytes, port: bytes, environ: Environ) -> int | None:
    """Connect as `tcpclient -RHl0` does; the descriptor, or None after a line that says why not."""
    try:
        number = client.service(port)
        made = client.connect(client.addresses(host, environ), number, client.Plan(), _warn)
    except Fatal as error:
        _warn(b"fatal: " + error.message)
        return None
    return None if made is None else made.descriptor


def _warn(text: bytes) -> None:
    complain(b"tcpclient: " + text)


def ask(descriptor: int, question: bytes) -> None:
    """Send all of a question; a server that does not want to hear it may still have said something."""
    ignore_broken_pipes()
    try:
        write_all(descriptor, question)
    except OSError:
        return
    finally:
        as_a_c_program()


def show(descriptor: int, feed: Callable[[bytes], bytes], end: Callable[[], bytes]) -> int:
    """Write what comes to standard output through a filter until the server hangs up, and hang up; the exit code.

    A connection that breaks is an end, too. Raises Fatal where standard output cannot be written.
    """
    code = 0
    try:
        while True:
            try:
                block = os.read(descriptor, BLOCK)
            except OSError:
                code = TEMPORARY
                block = b""
            text = feed(block) if block else end()
            try:
                write_all(1, text)
            except OSError as error:
                raise Fatal(f"unable to write: {reason(error)}") from error
            if not block:
                return code
    finally:
        os.close(descriptor)


class Reading:
    """A text from the network as a terminal may have it: without carriage returns, control characters made visible."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._lines = DelCr()

    def feed(self, block: bytes) -> bytes:
        """What can be shown after this block."""
        return visible(self._lines.feed(block))

    def end(self) -> bytes:
        """What is left."""
        return visible(self._lines.end())


def consult(host: bytes, port: bytes, question: bytes, environ: Environ) -> int:
    """Ask a server and show the answer; 0 whatever comes of it, which is the code of the last link of a pipeline."""
    descriptor = reach(host, port, environ)
    if descriptor is not None:
        if question:
            ask(descriptor, question)
        reading = Reading()
        show(descriptor, reading.feed, reading.end)
    return 0
