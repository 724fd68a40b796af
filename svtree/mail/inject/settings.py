"""Who sends, from where, and how: what qmail-inject's environment and control files say. Values alone; pure.

Follows qmail-inject(8). `environment.read` makes them.
"""

from __future__ import annotations

from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.mail.inject.rewriting import Defaults

# The letters of $QMAILINJECT.
NAME_IN_COMMENT = b"c"
IGNORE_RETURN_PATH = b"s"
REPLACE_FROM = b"f"
REPLACE_MESSAGE_ID = b"i"
VERP_PER_RECIPIENT = b"r"
VERP_PER_MESSAGE = b"m"


@record
class Settings:
    """The sender for From (user, host) and for the envelope (sender_user, sender_host); hosts may be the default one.

    `letters` are those of $QMAILINJECT, `lists` the addresses in $QMAILMFTFILE in small letters.
    """

    defaults: Defaults
    id_host: bytes
    user: bytes
    host: bytes | None
    full_name: bytes | None
    sender_user: bytes
    sender_host: bytes | None
    letters: bytes
    lists: frozenset[bytes]
