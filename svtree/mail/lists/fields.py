"""The header of a message that goes out to a list: what a list says of itself in it, and what it leaves out. Pure.

Follows RFC 2369 (List-Help and its like, and section 4 for a list that is on a list), RFC 2919 (List-Id), and
ezmlm-send: Mailing-List, by which lists know each other's mail, Precedence, and the fields that ask for receipts or say
how a mailbox stored the message.
"""

from __future__ import annotations

from svtree.formats.headers import field_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

# List-Archive is not among them: an archive of the list above us stays where it is.
LEFT_OUT: Final = frozenset(
    {
        b"return-path",
        b"return-receipt-to",
        b"disposition-notification-to",
        b"x-confirm-reading-to",
        b"x-pmrqc",
        b"content-length",
        b"precedence",
        b"mailing-list",
        b"list-id",
        b"list-help",
        b"list-post",
        b"list-owner",
        b"list-subscribe",
        b"list-unsubscribe",
        b"list-unsubscribe-post",
    }
)
# RFC 6068: what a mailto: URI holds as it is in an address. The @ before the host is one of these, too.
PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$'*@")


def about(local: bytes, host: bytes) -> bytes:
    """The fields that a list LOCAL@HOST puts before each message's own, and that its answers have too."""

    def mailto(*extension: bytes) -> bytes:
        return b"<mailto:%s@%s>" % (_encoded(b"-".join((local, *extension))), host)

    return (
        b"Mailing-List: contact %s-help@%s; run by svtree-list\n" % (local, host)
        + b"Precedence: bulk\nList-Id: <%s.%s>\n" % (local, host)
        + b"List-Help: %s\nList-Post: %s\n" % (mailto(b"help"), mailto())
        + b"List-Subscribe: %s\nList-Unsubscribe: %s\n" % (mailto(b"subscribe"), mailto(b"unsubscribe"))
        + b"List-Owner: %s\n" % mailto(b"owner")
    )


def kept(fields: Iterable[bytes]) -> bytes:
    """A message's own fields, without those of LEFT_OUT."""
    return b"".join(field for field in fields if field_name(field) not in LEFT_OUT)


def _encoded(local: bytes) -> bytes:
    return b"".join(bytes((byte,)) if byte in PLAIN else b"%%%02X" % byte for byte in local)
