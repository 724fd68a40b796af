"""mconnect-io: talk over a connection by hand."""

from __future__ import annotations

from svtree.tcp.filters import converse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "mconnect-io: usage: mconnect-io"

# Where tcpclient puts the connection, to read and to write.
READ, WRITE = 6, 7


def main(argv: Sequence[bytes], environ: Environ) -> int:  # noqa: ARG001 - every program has this form
    """Send standard input, with a CR before each LF, to descriptor 7; show what comes from descriptor 6, to its end."""
    converse(READ, WRITE)
    return 0
