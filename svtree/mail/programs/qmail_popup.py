"""qmail-popup: read a POP user name and password."""

from __future__ import annotations

from svtree.mail.pop3.server import authorize
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-popup: usage: qmail-popup hostname subprogram [ arg ... ]"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Serve one client; always 1, as the original."""
    if len(argv) < 3:
        # On the client's side, where the original says it.
        write_all(1, b"-ERR usage: popup hostname subprogram\r\n")
        return 1
    return authorize(argv[1], argv[2:], environ)
