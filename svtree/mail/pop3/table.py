"""The POP3 session as two tables: which step a verb is in each state, and what each outcome of a step leads to.

Follows qmail-popup and qmail-pop3d 1.06, reply for reply. docs/pop3-session.md is printed from here.
"""

from __future__ import annotations

from svtree.mail import tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from svtree.mail.tables import Outcomes, Steps, Table, Verbs

# States.
OVER: Final = tables.OVER
SAME: Final = tables.SAME
STRANGER: Final = "STRANGER"  # AUTHORIZATION, no name yet
NAMED: Final = "NAMED"  # AUTHORIZATION, USER has given a name
TRANSACTION: Final = "TRANSACTION"

USER: Final = "user"
LOGIN: Final = "login"
DIGEST: Final = "digest"
NO_USER: Final = "no user yet"
NOT_YET: Final = "not authorized"
LEAVE: Final = "leave"
NOTHING: Final = "nothing"
STATUS: Final = "status"
LISTING: Final = "sizes"
UNIQUE: Final = "unique names"
DELETE: Final = "delete"
RETRIEVE: Final = "retrieve"
RESET: Final = "reset"
HIGHEST: Final = "highest deleted"
QUIT: Final = "quit"
CAPABILITIES: Final = "capabilities"
SECURITY: Final = "security"
UNKNOWN: Final = "unknown"
TROUBLE: Final = "trouble"

_BEFORE: Final[Verbs] = {
    b"user": USER,
    b"apop": DIGEST,
    b"noop": NOTHING,
    b"quit": LEAVE,
    b"capa": CAPABILITIES,
    b"stls": SECURITY,
}
TABLE: Final[Table] = {
    STRANGER: {**_BEFORE, b"pass": NO_USER},
    NAMED: {**_BEFORE, b"pass": LOGIN},
    TRANSACTION: {
        b"stat": STATUS,
        b"list": LISTING,
        b"uidl": UNIQUE,
        b"retr": RETRIEVE,
        b"top": RETRIEVE,
        b"dele": DELETE,
        b"rset": RESET,
        b"last": HIGHEST,
        b"noop": NOTHING,
        b"quit": QUIT,
        b"capa": CAPABILITIES,
    },
}
# The steps that exist only where control/pop3 offers them; elsewhere their verbs are what any other verb is.
OFFERED: Final = frozenset({CAPABILITIES, SECURITY})
# What any other verb is.
OTHERWISE: Final[Mapping[str, str]] = {STRANGER: NOT_YET, NAMED: NOT_YET, TRANSACTION: UNKNOWN}

_OK: Final = (b"+OK ", SAME)
_SYNTAX: Final = (b"-ERR syntax error", SAME)
_CHECKED: Final[Outcomes] = {
    "nothing given": _SYNTAX,
    "served": (b"", OVER),
    "refused": (b"-ERR authorization failed", OVER),
    "crashed": (b"-ERR aack, child crashed", OVER),
    "no pipe": (b"-ERR unable to open pipe", OVER),
    "no process": (b"-ERR unable to fork", OVER),
    "not read": (b"-ERR unable to write pipe", OVER),
}
_NUMBER: Final[Outcomes] = {
    "no number": _SYNTAX,
    "zero": (b"-ERR messages are counted from 1", SAME),
    "too high": (b"-ERR not that many messages", SAME),
    "deleted": (b"-ERR already deleted", SAME),
}
# step: {outcome: (reply, next state)}. A reply of several lines ends here where its own text begins.
STEPS: Final[Steps] = {
    USER: {"done": (b"+OK ", NAMED), "nothing given": _SYNTAX},
    LOGIN: _CHECKED,
    DIGEST: _CHECKED,
    NO_USER: {"done": (b"-ERR USER first", SAME)},
    NOT_YET: {"done": (b"-ERR authorization first", SAME)},
    LEAVE: {"done": (b"+OK ", OVER)},
    NOTHING: {"done": _OK},
    STATUS: {"done": (b"+OK COUNT SIZE", SAME)},
    LISTING: {"all": _OK, "one": (b"+OK NUMBER SIZE", SAME), **_NUMBER},
    UNIQUE: {"all": _OK, "one": (b"+OK NUMBER NAME", SAME), **_NUMBER},
    DELETE: {"done": _OK, **_NUMBER},
    RETRIEVE: {"opened": _OK, "not opened": (b"-ERR unable to open that message", SAME), **_NUMBER},
    RESET: {"done": _OK},
    HIGHEST: {"done": (b"+OK NUMBER", SAME)},
    QUIT: {"done": (b"+OK ", OVER), "not removed": (b"-ERR unable to unlink all deleted messages", SAME)},
    CAPABILITIES: {"done": _OK},
    SECURITY: {
        "agreed": (b"+OK begin TLS", STRANGER),
        "secure already": (b"-ERR this connection is secure already", SAME),
        "not available": (b"-ERR TLS not available", SAME),
    },
    UNKNOWN: {"done": (b"-ERR unimplemented", SAME)},
    TROUBLE: {"line too long": (b"-ERR out of memory", OVER)},
}


def render() -> str:
    """The tables in Markdown: what docs/pop3-session.md holds."""
    about = (
        "# The POP3 session\n\n"
        "Printed from `svtree/mail/pop3/table.py`; a test compares. qmail-popup is in STRANGER and NAMED, and\n"
        "begins with `+OK <PID.TIME@HOST>`; qmail-pop3d is in TRANSACTION, and begins with `+OK `, which answers the\n"
        "password. After `+OK ` to a listing or a message its lines come, and a dot alone. In OVER the connection is\n"
        "closed; after QUIT in TRANSACTION the deleted messages are removed first, and only then. CAPA and STLS are\n"
        "like any other verb where control/pop3 does not offer them."
    )
    return tables.page(about, TABLE, OTHERWISE, STEPS)
