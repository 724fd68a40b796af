"""The SMTP server session as a pure machine: bytes in, actions out.

What it is: qmail-smtpd 1.06's side of RFC 5321 with PIPELINING and 8BITMIME, reply for reply. What it is not: it
reads no file and no clock, and knows no queue. Whoever drives it performs the actions in the order they come:

- `Reply`: send these bytes, at the latest before waiting for more of the client's;
- `Begin`: start a message, then say `begun` or `not_begun`; nothing else happens before;
- `Write`: a piece of the message;
- `Finish`: hand the message over, then say `finished` or `refused`; nothing else happens before;
- `Abandon`: forget the message; the session goes on;
- `End`: close the connection (and forget a message that has begun); nothing comes after it.

`svtree.mail.smtp.table` says what is answered when; here is how an outcome is found.
"""

from __future__ import annotations

from svtree.formats.record import record
from svtree.mail.commands import Command, Commands, TooLongError
from svtree.mail.smtp import addresses, table
from svtree.mail.smtp.body import Body, StrayNewlineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final, TypeAlias

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
        self.state = table.IDLE
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
        if self.state != table.OVER:
            self._commands.feed(data)
        return self._go_on()

    def begun(self) -> list[Action]:
        """The message that `Begin` asked for is begun."""
        self._waiting = False
        self._body = Body()
        self._size_of_body = 0
        self._answer(table.MESSAGE, "begun")
        return self._go_on()

    def not_begun(self) -> list[Action]:
        """No message can be begun."""
        self._waiting = False
        self._answer(table.MESSAGE, "not begun")
        return self._go_on()

    def finished(self, when: int, qp: int) -> list[Action]:
        """The queue has the message since `when` (Unix seconds) and calls it `qp`."""
        self._waiting = False
        self._answer(table.DELIVERY, "accepted", {b"WHEN": b"%d" % when, b"QP": b"%d" % qp})
        return self._go_on()

    def refused(self, why: bytes) -> list[Action]:
        """The queue does not take the message: `why` begins with D (never will) or Z (not now), as in qmail.c."""
        self._waiting = False
        self._answer(table.DELIVERY, "refused" if why[:1] == b"D" else "put off", {b"WHY": why[1:]})
        return self._go_on()

    def timed_out(self) -> list[Action]:
        """The client has been silent for too long."""
        self._answer(table.TROUBLE, "time out")
        return self._go_on()

    def closed(self) -> list[Action]:
        """The client has closed the connection, or cannot be sent to."""
        self.state = table.OVER
        return [End(1)]

    def _go_on(self) -> list[Action]:
        """Do all that can be done with the bytes that are there."""
        while not self._waiting and self.state != table.OVER and self._step():
            continue
        actions, self._actions = self._actions, []
        return actions

    def _step(self) -> bool:
        if self.state == table.DATA:
            data = self._commands.take_rest()
            return bool(data) and self._take_body(data)
        try:
            command = self._commands.take()
        except TooLongError:
            self._answer(table.TROUBLE, "line too long")
            return False
        if command is None:
            return False
        self._do(table.TABLE[self.state].get(command.verb, table.UNKNOWN), command)
        return True

    def _do(self, step: str, command: Command) -> None:
        if step == table.FROM:
            self._answer(table.FROM, self._take_sender(command.argument))
        elif step == table.TO:
            self._answer(table.TO, self._take_recipient(command.argument))
        elif step == table.MESSAGE:
            self._waiting = True
            self._actions.append(Begin(self._helo))
        else:
            if step in {table.HELLO, table.EXTENDED_HELLO}:
                # case_diffs: what the DNS said already is not said again.
                same = command.argument.lower() == self._policy.remote_host.lower()
                self._helo = None if same else command.argument
            self._answer(step, "done")

    def _answer(self, step: str, outcome: str, words: Mapping[bytes, bytes] | None = None) -> None:
        """Say what the table says and go where it says."""
        text, state = table.STEPS[step][outcome]
        for name, word in (words or {b"GREETING": self._policy.greeting}).items():
            text = text.replace(name, word)
        self._actions.append(Reply(text + b"\r\n"))
        if state != table.SAME:
            self.state = state
        if state == table.OVER:
            self._actions.append(End(0 if step == table.QUIT else 1))

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
            self._answer(table.DELIVERY, "stray newline")
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
            self._answer(table.DELIVERY, "too many hops" if body.hops >= MAX_HOPS else "too big")
            return True
        self._waiting = True
        self._actions.append(Finish(self._sender, tuple(self._recipients)))
        return False

    def _is_too_big(self) -> bool:
        return 0 < self._policy.databytes < self._size_of_body
