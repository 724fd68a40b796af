"""The SMTP server session as a pure machine: bytes in, actions out.

What it is: qmail-smtpd 1.06's side of RFC 5321 with PIPELINING and 8BITMIME, reply for reply. What it is not: it
reads no file and no clock, and knows no queue. Whoever drives it performs the actions in the order they come:

- `Reply`: send these bytes, at the latest before waiting for more of the client's;
- `Begin`: start a message, then say `begun` or `not_begun`; nothing else happens before;
- `Write`: a piece of the message;
- `Finish`: hand the message over, then say `finished` or `refused`; nothing else happens before;
- `Abandon`: forget the message; the session goes on;
- `End`: close the connection (and forget a message that has begun); nothing comes after it.

The session is two tables. `TABLE` says which step a verb is in each state; `STEPS` says what each outcome of a step
answers and which state comes then. docs/smtp-session.md is printed from them.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail.commands import Command, Commands, TooLongError
from svtree.mail.smtp import addresses
from svtree.mail.smtp.body import Body, StrayNewlineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final, TypeAlias

# States. They are words because the tables are printed and read.
IDLE: Final = "IDLE"  # no sender
SENDER: Final = "SENDER"  # a sender, no recipient
READY: Final = "READY"  # a sender and recipients
DATA: Final = "DATA"  # the message is coming
OVER: Final = "OVER"  # the connection is to be closed
SAME: Final = "="  # in STEPS: the state stays what it was

# The steps that begin with a command, and the one that begins with the end of the message.
HELLO: Final = "hello"
EXTENDED_HELLO: Final = "extended hello"
RESET: Final = "reset"
FROM: Final = "sender"
TO: Final = "recipient"
MESSAGE: Final = "message"
NO_SENDER: Final = "no sender yet"
NO_RECIPIENT: Final = "no recipient yet"
VERIFY: Final = "verify"
NOTHING: Final = "nothing"
HELP: Final = "help"
QUIT: Final = "quit"
UNKNOWN: Final = "unknown"
DELIVERY: Final = "end of message"
TROUBLE: Final = "trouble"

ALWAYS: Final[Mapping[bytes, str]] = {
    b"helo": HELLO,
    b"ehlo": EXTENDED_HELLO,
    b"rset": RESET,
    b"help": HELP,
    b"noop": NOTHING,
    b"vrfy": VERIFY,
    b"quit": QUIT,
}
TABLE: Final[Mapping[str, Mapping[bytes, str]]] = {
    IDLE: {**ALWAYS, b"mail": FROM, b"rcpt": NO_SENDER, b"data": NO_SENDER},
    SENDER: {**ALWAYS, b"mail": FROM, b"rcpt": TO, b"data": NO_RECIPIENT},
    READY: {**ALWAYS, b"mail": FROM, b"rcpt": TO, b"data": MESSAGE},
}

# step: {outcome: (reply, next state)}. GREETING, WHEN, QP and WHY are filled in.
STEPS: Final[Mapping[str, Mapping[str, tuple[bytes, str]]]] = {
    HELLO: {"done": (b"250 GREETING", IDLE)},
    EXTENDED_HELLO: {"done": (b"250-GREETING\r\n250-PIPELINING\r\n250 8BITMIME", IDLE)},
    RESET: {"done": (b"250 flushed", IDLE)},
    FROM: {
        "taken": (b"250 ok", SENDER),
        "too long": (b"555 syntax error (#5.5.4)", SAME),
    },
    TO: {
        "taken": (b"250 ok", READY),
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

MAX_HOPS: Final = 100
# All recipients of a message together, in bytes: some hundred thousand addresses.
MOST_RECIPIENTS: Final = 8 << 20


@record
class Policy:
    """What the administrator has decided, for one connection."""

    greeting: bytes
    # What $TCPREMOTEHOST says, or "unknown": a HELO of that name is not worth a word in the Received line.
    remote_host: bytes
    # The host that an address literal of this machine stands for, and this machine's addresses, four bytes each.
    literal_host: bytes
    here: frozenset[bytes]
    # $RELAYCLIENT: any recipient is taken, with this appended. None: only those that `accepts` takes.
    relay: bytes | None
    # Asked with an address; None when it cannot be told now.
    accepts: Callable[[bytes], bool | None]
    # Addresses and @hosts, in lower case.
    bad_senders: frozenset[bytes]
    # The most bytes of a message; 0: no bound.
    databytes: int


@record
class Reply:
    """Send this."""

    data: bytes


@record
class Begin:
    """Start a message; `helo` is for its Received line, None where it would say nothing new."""

    helo: bytes | None


@record
class Write:
    """A piece of the message, lines ended by LF."""

    data: bytes


@record
class Finish:
    """The message is whole: hand it over with this envelope."""

    sender: bytes
    recipients: tuple[bytes, ...]


@record
class Abandon:
    """Forget the message."""


@record
class End:
    """Close the connection; `code` is qmail-smtpd's exit code."""

    code: int


if TYPE_CHECKING:
    Action: TypeAlias = Reply | Begin | Write | Finish | Abandon | End


class Session:
    """One connection. Each method is an event and returns what is to be done."""

    def __init__(self, policy: Policy) -> None:
        """The session begins with `greet`."""
        self.state = IDLE
        self._policy = policy
        self._commands = Commands()
        self._helo: bytes | None = None
        self._sender = b""
        self._sender_is_bad = False
        self._recipients: list[bytes] = []
        self._size_of_recipients = 0
        self._body = Body()
        self._size_of_body = 0
        self._waiting = False
        self._actions: list[Action] = []

    def greet(self) -> list[Action]:
        """The client has connected."""
        return [Reply(b"220 " + self._policy.greeting + b" ESMTP\r\n")]

    def receive(self, data: bytes) -> list[Action]:
        """The client has sent `data`."""
        if self.state != OVER:
            self._commands.feed(data)
        return self._go_on()

    def begun(self) -> list[Action]:
        """The message that `Begin` asked for is begun."""
        self._waiting = False
        self._body = Body()
        self._size_of_body = 0
        self._answer(MESSAGE, "begun")
        return self._go_on()

    def not_begun(self) -> list[Action]:
        """No message can be begun."""
        self._waiting = False
        self._answer(MESSAGE, "not begun")
        return self._go_on()

    def finished(self, when: int, qp: int) -> list[Action]:
        """The queue has the message since `when` (Unix seconds) and calls it `qp`."""
        self._waiting = False
        self._answer(DELIVERY, "accepted", {b"WHEN": b"%d" % when, b"QP": b"%d" % qp})
        return self._go_on()

    def refused(self, why: bytes) -> list[Action]:
        """The queue does not take the message: `why` begins with D (never will) or Z (not now), as in qmail.c."""
        self._waiting = False
        self._answer(DELIVERY, "refused" if why[:1] == b"D" else "put off", {b"WHY": why[1:]})
        return self._go_on()

    def timed_out(self) -> list[Action]:
        """The client has been silent for too long."""
        self._answer(TROUBLE, "time out")
        return self._go_on()

    def closed(self) -> list[Action]:
        """The client has closed the connection, or cannot be sent to."""
        self.state = OVER
        return [End(1)]

    def _go_on(self) -> list[Action]:
        """Do all that can be done with the bytes that are there."""
        while not self._waiting and self.state != OVER and self._step():
            continue
        actions, self._actions = self._actions, []
        return actions

    def _step(self) -> bool:
        if self.state == DATA:
            data = self._commands.take_rest()
            return bool(data) and self._take_body(data)
        try:
            command = self._commands.take()
        except TooLongError:
            self._answer(TROUBLE, "line too long")
            return False
        if command is None:
            return False
        self._do(TABLE[self.state].get(command.verb, UNKNOWN), command)
        return True

    def _do(self, step: str, command: Command) -> None:
        if step == FROM:
            self._answer(FROM, self._take_sender(command.argument))
        elif step == TO:
            self._answer(TO, self._take_recipient(command.argument))
        elif step == MESSAGE:
            self._waiting = True
            self._actions.append(Begin(self._helo))
        else:
            if step in {HELLO, EXTENDED_HELLO}:
                # case_diffs: what the DNS said already is not said again.
                same = command.argument.lower() == self._policy.remote_host.lower()
                self._helo = None if same else command.argument
            self._answer(step, "done")

    def _answer(self, step: str, outcome: str, words: Mapping[bytes, bytes] | None = None) -> None:
        """Say what the table says and go where it says."""
        text, state = STEPS[step][outcome]
        for name, word in (words or {b"GREETING": self._policy.greeting}).items():
            text = text.replace(name, word)
        self._actions.append(Reply(text + b"\r\n"))
        if state != SAME:
            self.state = state
        if state == OVER:
            self._actions.append(End(0 if step == QUIT else 1))

    def _address(self, argument: bytes) -> bytes | None:
        address = addresses.parse(argument)
        address = addresses.localize(address, self._policy.literal_host, self._policy.here)
        return address if len(address) <= addresses.LONGEST else None

    def _take_sender(self, argument: bytes) -> str:
        address = self._address(argument)
        if address is None:
            return "too long"
        lowered = address.lower()
        at = lowered.rfind(b"@")
        bad = self._policy.bad_senders
        self._sender_is_bad = lowered in bad or (at >= 0 and lowered[at:] in bad)
        self._sender = address
        self._recipients = []
        self._size_of_recipients = 0
        return "taken"

    def _take_recipient(self, argument: bytes) -> str:
        address = self._address(argument)
        if address is None:
            return "too long"
        if self._sender_is_bad:
            return "bad sender"
        if self._policy.relay is not None:
            address += self._policy.relay
        else:
            accepted = self._policy.accepts(address)
            if not accepted:
                return "cannot tell" if accepted is None else "not ours"
        # The list's own eight bytes, and Python's for a short object, count as well.
        self._size_of_recipients += len(address) + 64
        if self._size_of_recipients > MOST_RECIPIENTS:
            return "too many"
        self._recipients.append(address)
        return "taken"

    def _take_body(self, data: bytes) -> bool:
        """Pass on what has come of the message; True when it has ended and commands follow."""
        body = self._body
        try:
            piece = body.feed(data)
        except StrayNewlineError:
            self._answer(DELIVERY, "stray newline")
            return False
        if piece and not self._is_too_big():
            self._size_of_body += len(piece)
            # What is too big is read to its end, as the original does, but the queue is not filled with it.
            if not self._is_too_big():
                self._actions.append(Write(piece))
        if not body.done:
            return False
        self._commands.feed(body.rest)
        if body.hops >= MAX_HOPS or self._is_too_big():
            self._actions.append(Abandon())
            self._answer(DELIVERY, "too many hops" if body.hops >= MAX_HOPS else "too big")
            return True
        self._waiting = True
        self._actions.append(Finish(self._sender, tuple(self._recipients)))
        return False

    def _is_too_big(self) -> bool:
        return 0 < self._policy.databytes < self._size_of_body


def render() -> str:
    """The tables in Markdown: what docs/smtp-session.md holds."""
    from svtree.mail.tables import page

    about = (
        "# The SMTP session\n\n"
        "Printed from `svtree/mail/smtp/session.py`; a test compares. A session begins in IDLE with `220 GREETING\n"
        "ESMTP`. GREETING is control/smtpgreeting, WHEN a Unix time, QP the queue's process, WHY what the queue said.\n"
        "In DATA there are no verbs: the lines are the message, up to a dot alone. In OVER the connection is closed."
    )
    return page(about, TABLE, dict.fromkeys(TABLE, UNKNOWN), STEPS)
