"""qmail-getpw: tell which account a local address belongs to.

Follows qmail-getpw(8): prints user, uid, gid, home, dash and extension, each with a NUL. users/cdb is not asked, since
qmail-lspawn looks there first.
"""

from __future__ import annotations

from svtree.mail.delivery.orders import NO_ALIAS, SYSTEM
from svtree.mail.delivery.recipients import RecipientError, by_account
from svtree.program import PERMANENT
from svtree.system.streams import complain, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-getpw: usage: qmail-getpw local"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Print; the exit codes are those that qmail-lspawn knows."""
    if len(argv) < 2:
        complain(USAGE)
        return PERMANENT
    try:
        who = by_account(argv[1], environ)
    except RecipientError as error:
        complain(f"qmail-getpw: fatal: {error}")
        return SYSTEM
    if who is None:
        return NO_ALIAS
    fields = (who.name, b"%d" % who.uid, b"%d" % who.gid, who.home, who.dash, who.extension)
    write_all(1, b"".join(each + b"\0" for each in fields))
    return 0
