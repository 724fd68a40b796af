"""The SMTP session as two tables: which step a verb is in each state, and what each outcome of a step leads to.

Follows qmail-smtpd 1.06, reply for reply. docs/smtp-session.md is printed from here.
"""

from __future__ import annotations

from svtree.mail import tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from svtree.mail.tables import Steps, Table, Verbs

# States.
OVER: Final = tables.OVER
SAME: Final = tables.SAME
IDLE: Final = "IDLE"  # no sender
SENDER: Final = "SENDER"  # a sender, no recipient
READY: Final = "READY"  # a sender and recipients
DATA: Final = "DATA"  # the message is coming
LOGIN: Final = "LOGIN"  # the answer to a challenge of AUTH is coming

# The steps that begin with a command, and the one that begins with the end of the message.
HELLO: Final = "hello"
EXTENDED_HELLO: Final = "extended hello"
RESET: Final = "reset"
FROM: Final = "sender"
TO: Final = "recipient"
MESSAGE: Final = "message"
NO_SENDER: Final = "no sender yet"
NO_RECIPIENT: Final = "no recipient yet"
NOT_NOW: Final = "authentication too late"
VERIFY: Final = "verify"
NOTHING: Final = "nothing"
HELP: Final = "help"
QUIT: Final = "quit"
SECURITY: Final = "security"
AUTHENTICATION: Final = "authentication"
UNKNOWN: Final = "unknown"
DELIVERY: Final = "end of message"
TROUBLE: Final = "trouble"

ALWAYS: Final[Verbs] = {
    b"helo": HELLO,
    b"ehlo": EXTENDED_HELLO,
    b"rset": RESET,
    b"help": HELP,
    b"noop": NOTHING,
    b"vrfy": VERIFY,
    b"quit": QUIT,
}
TABLE: Final[Table] = {
    IDLE: {
        **ALWAYS,
        b"mail": FROM,
        b"rcpt": NO_SENDER,
        b"data": NO_SENDER,
        b"starttls": SECURITY,
        b"auth": AUTHENTICATION,
    },
    SENDER: {**ALWAYS, b"mail": FROM, b"rcpt": TO, b"data": NO_RECIPIENT, b"starttls": SECURITY, b"auth": NOT_NOW},
    READY: {**ALWAYS, b"mail": FROM, b"rcpt": TO, b"data": MESSAGE, b"starttls": SECURITY, b"auth": NOT_NOW},
}

# The steps that exist only where control/esmtp offers them; elsewhere their verbs are unknown.
OFFERED: Final = frozenset({SECURITY, AUTHENTICATION, NOT_NOW})

# step: {outcome: (reply, next state)}. GREETING, WHEN, QP, WHY and CHALLENGE are filled in.
STEPS: Final[Steps] = {
    HELLO: {"done": (b"250 GREETING", IDLE)},
    EXTENDED_HELLO: {"done": (b"250-GREETING\r\n250-PIPELINING\r\n250 8BITMIME", IDLE)},
    RESET: {"done": (b"250 flushed", IDLE)},
    FROM: {
        "taken": (b"250 ok", SENDER),
        "stranger": (b"530 sorry, log in first (#5.7.0)", SAME),
        "too long": (b"555 syntax error (#5.5.4)", SAME),
        "bad parameter": (b"555 syntax error (#5.5.4)", SAME),
        "too big": (b"552 sorry, that message size exceeds my databytes limit (#5.3.4)", SAME),
    },
    TO: {
        "taken": (b"250 ok", READY),
        "bad parameter": (b"555 syntax error (#5.5.4)", SAME),
        "no mailbox": (b"550 sorry, no mailbox here by that name. (#5.1.1)", SAME),
        "too long": (b"555 syntax error (#5.5.4)", SAME),
        "bad sender": (b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)", SAME),
        "not ours": (b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", SAME),
        "too many": (b"452 sorry, that is more recipients than I take for one message (#4.5.3)", SAME),
        "cannot tell": (b"421 unable to read controls (#4.3.0)", OVER),
    },
    MESSAGE: {
        "begun": (b"354 go ahead", DATA),
        "not begun": (b"451 qqt failure (#4.3.0)", IDLE),
    },
    DELIVERY: {
        "accepted": (b"250 ok WHEN qp QP", IDLE),
        "too many hops": (b"554 too many hops, this message is looping (#5.4.6)", IDLE),
        "too big": (b"552 sorry, that message size exceeds my databytes limit (#5.3.4)", IDLE),
        "refused": (b"554 WHY", IDLE),
        "put off": (b"451 WHY", IDLE),
        "stray newline": (b"451 See https://cr.yp.to/docs/smtplf.html.", OVER),
    },
    NO_SENDER: {"done": (b"503 MAIL first (#5.5.1)", SAME)},
    NO_RECIPIENT: {"done": (b"503 RCPT first (#5.5.1)", SAME)},
    SECURITY: {
        "agreed": (b"220 ready for tls", IDLE),
        "secure already": (b"503 this connection is secure already (#5.5.1)", SAME),
        "argument": (b"501 STARTTLS takes no argument (#5.5.4)", SAME),
        "not available": (b"454 TLS not available (#4.3.0)", SAME),
    },
    AUTHENTICATION: {
        "asked": (b"334 CHALLENGE", LOGIN),
        "accepted": (b"235 ok, go ahead (#2.7.0)", IDLE),
        "refused": (b"535 authentication failed (#5.7.8)", IDLE),
        "refused too often": (b"421 too many failed logins (#4.7.0)", OVER),
        "cannot tell": (b"454 temporary authentication failure (#4.7.0)", IDLE),
        "malformed": (b"501 malformed auth input (#5.5.4)", IDLE),
        "canceled": (b"501 auth exchange canceled (#5.7.0)", IDLE),
        "no such mechanism": (b"504 auth type unimplemented (#5.5.4)", SAME),
        "insecure": (b"538 encryption required for that auth type (#5.7.11)", SAME),
        "known already": (b"503 you are authenticated already (#5.5.1)", SAME),
    },
    NOT_NOW: {"done": (b"503 no auth during a mail transaction (#5.5.1)", SAME)},
    VERIFY: {"done": (b"252 send some mail, i'll try my best", SAME)},
    NOTHING: {"done": (b"250 ok", SAME)},
    HELP: {"done": (b"214 notqmail home page: https://notqmail.org", SAME)},
    QUIT: {"done": (b"221 GREETING", OVER)},
    UNKNOWN: {"done": (b"502 unimplemented (#5.5.1)", SAME)},
    TROUBLE: {
        "line too long": (b"421 out of memory (#4.3.0)", OVER),
        "time out": (b"451 timeout (#4.4.2)", OVER),
    },
}


def render() -> str:
    """The tables in Markdown: what docs/smtp-session.md holds."""
    about = (
        "# The SMTP session\n\n"
        "Printed from `svtree/mail/smtp/table.py`; a test compares. A session begins in IDLE with `220 GREETING\n"
        "ESMTP`. GREETING is control/smtpgreeting, WHEN a Unix time, QP the queue's process, WHY what the queue said.\n"
        "In DATA there are no verbs: the lines are the message, up to a dot alone. In LOGIN there are none either:\n"
        "the line is an answer to AUTH. In OVER the connection is closed. STARTTLS and AUTH are unknown, and\n"
        "parameters and mailboxes not looked at, where no control file offers it; with `enhancedstatuscodes` the\n"
        "number in brackets stands after the code."
    )
    return tables.page(about, TABLE, dict.fromkeys(TABLE, UNKNOWN), STEPS)
