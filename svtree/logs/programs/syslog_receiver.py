"""syslog-receiver: receive syslog messages where no daemon does."""

from __future__ import annotations

from svtree.formats import syslog
from svtree.logs.receiver import Receiver
from svtree.program import UsageError, options
from svtree.system.descriptors import ensure_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "syslog-receiver: usage: syslog-receiver [-m mode] unix:path | udp:host:port"
DEFAULT_MODE = 0o666


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Write every message that comes to the socket to standard output, a line each, until TERM."""
    ensure_standard()
    letters, rest = options(argv, "m:", USAGE)
    mode = DEFAULT_MODE
    for _, value in letters:
        if not value or len(value) > 4 or value.strip(b"01234567") or int(value, 8) > 0o777:
            raise UsageError(USAGE)
        mode = int(value, 8)
    if len(rest) != 1 or not rest[0]:
        raise UsageError(USAGE)
    try:
        where = syslog.destination(rest[0])
    except syslog.DestinationError as error:
        raise UsageError(USAGE) from error
    if where.kind not in {"unix", "udp"}:
        raise UsageError(USAGE)
    receiver = Receiver(where, mode, environ)
    try:
        receiver.run()
    finally:
        receiver.close()
    return 0
