"""What a list writes to people: questions, welcomes, goodbyes, probes. Text only; pure.

As RFC 3834 wants it of what answers by itself: Auto-Submitted, no sender to bounce to (but for a probe, whose bounce is
what it is for), and no answer to what was itself sent by a program.
"""

from __future__ import annotations

from svtree.formats import dates
from svtree.formats.headers import field_name
from svtree.formats.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NOBODY = frozenset({b"", b"#@[]"})
BULK = frozenset({b"bulk", b"junk", b"list"})

QUESTION = b"""Somebody, probably you, has asked that your address

    %s

be %s the mailing list %s.

To confirm that, answer to this message; what you write does not matter. If
you do not answer nothing will happen.
"""
WELCOME = b"""Your address

    %s

is now on the mailing list %s.
To leave it, write to %s.
"""
GOODBYE = b"""Your address

    %s

is no longer on the mailing list %s.
"""
HELP = b"""This is the mailing list

    %s

Write to it, and all its members get what you write. What you write to these
addresses does not matter:

    %s    to get on the list
    %s    to get off it

From that which you want to be on or off, that is. You are asked for a
confirmation. Its owner is %s.
"""
PROBE = b"""Messages from the mailing list %s
to your address

    %s

have come back. If this one reaches you there is nothing to do. If it comes
back too your address will be taken off the list.
"""


@record
class Stamp:
    """When and by which process an answer is written."""

    now: int
    pid: int


def is_automatic(sender: bytes, fields: Iterable[bytes]) -> bool:
    """Whether a message must not be answered: nobody sent it, or a program did."""
    if sender in NOBODY or sender.lower().startswith((b"mailer-daemon@", b"postmaster@")):
        return True
    for field in fields:
        name, value = field_name(field), field.partition(b":")[2].strip().lower()
        if name == b"precedence" and value in BULK:
            return True
        if name == b"auto-submitted" and value.partition(b";")[0].strip() != b"no":
            return True
        if name in (b"list-id", b"mailing-list"):
            return True
    return False


def message(back: bytes, address: bytes, subject: bytes, text: bytes, stamp: Stamp) -> bytes:
    """A message from `back`, where answers are to go, to `address`; before it belongs what the list says of itself."""
    host = back.rpartition(b"@")[2]
    return b"".join(
        (
            b"Date: ",
            dates.header(stamp.now),
            b"\nMessage-ID: <%d.%d.list@%s>\nFrom: <%s>\nTo: <%s>\n" % (stamp.now, stamp.pid, host, back, address),
            b"Subject: %s\nAuto-Submitted: auto-replied\n\n" % subject,
            text,
        )
    )
