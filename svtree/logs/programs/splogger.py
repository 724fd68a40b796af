"""splogger: write lines to the system log."""

from __future__ import annotations

from svtree.formats import syslog
from svtree.logs.destinations import sender
from svtree.logs.splogger import Forwarder, intake
from svtree.program import PERMANENT, Fatal, number
from svtree.system.descriptors import ensure_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "splogger: usage: splogger [tag [facility]]"
# LOG_NFACILITIES - 1 is smaller, but this is what openlog(3) of the C library takes.
MOST_FACILITY = 127


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Send standard input, line by line, to the syslog in $SVTREE_SYSLOG, under the tag argv[1], facility argv[2]."""
    ensure_standard()
    try:
        where = syslog.destination(environ.get(b"SVTREE_SYSLOG", b""))
    except syslog.DestinationError as error:
        raise Fatal(f"SVTREE_SYSLOG makes no sense: {error}", PERMANENT) from error
    tag = argv[1] if len(argv) > 1 else b"splogger"
    facility = syslog.MAIL
    if len(argv) > 2:
        facility = number(argv[2])
        if not 0 < facility <= MOST_FACILITY:
            # What openlog(3) makes of it.
            facility = syslog.USER
    return Forwarder(intake(0, environ), sender(where, tag, facility, environ)).run()
