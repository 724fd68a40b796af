"""The SMTP server session as a pure machine: bytes in, actions out.

What it is: qmail-smtpd 1.06's side of RFC 5321 with PIPELINING and 8BITMIME, reply for reply. What it is not: it
reads no file and no clock, and knows no queue. Whoever drives it performs the actions in the order they come:

- `Reply`: send these bytes, at the latest before waiting for more of the client's;
- `Begin`: start a message, then say `begun` or `not_begun`; nothing else happens before;
- `Write`: a piece of the message;
- `Finish`: hand the message over, then say `finished` or `refused`; nothing else happens before;
- `Abandon`: forget the message; the session goes on;
- `StartTls`: send what there is to send, shake hands, then say `secured`; a connection that fails in it is closed;
- `Check`: have a login checked, then say `checked`; nothing else happens before;
- `End`: close the connection (and forget a message that has begun); nothing comes after it.

What came later than qmail-smtpd is off unless `Policy.extensions` offers it: `svtree.mail.smtp.extensions`.
`svtree.mail.smtp.table` says what is answered when; here is how an outcome is found.
"""

from __future__ import annotations

from svtree.mail.commands import Command, Commands, TooLongError
from svtree.mail.smtp import addresses, extensions, table
from svtree.mail.smtp.actions import Abandon, Begin, Check, End, Finish, Policy, Reply, StartTls, Write
from svtree.mail.smtp.body import Body, StrayNewlineError
from svtree.mail.smtp.sasl import Challenge, Sasl, SaslError, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from svtree.mail.smtp.actions import Action
    from svtree.mail.smtp.sasl import Login

MAX_HOPS: Final = 100
# All recipients of a message together, in bytes: some hundred thousand addresses.
MOST_RECIPIENTS: Final = 8 << 20
# Logins that may fail before the connection is closed.
MOST_FAILURES: Final = 3


class Session:
    """One connection. Each method is an event and returns what is to be done."""

    def __init__(self, policy: Policy) -> None:
        """The session begins with `greet`."""
        self.state = table.IDLE
        self._policy = policy
        self._commands = Commands()
        self._secure = policy.secure
        self._sasl: Sasl | None = None
        self._failures = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Know nothing about the client."""
        self._helo: bytes | None = None
        self._extended = False
        self._authenticated = False
        self._relay = self._policy.relay
        self._parameters = extensions.Parameters()
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

    def secured(self) -> list[Action]:
        """The connection is TLS. RFC 3207: what was said before it may have been anybody's, and is forgotten."""
        self._waiting = False
        self._secure = True
        self._begin_anew()
        return self._go_on()

    def checked(self, outcome: str) -> list[Action]:
        """What came of the login: "accepted", "refused" or "cannot tell"."""
        self._waiting = False
        if outcome == "accepted":
            self._authenticated = True
            if self._relay is None:
                self._relay = b""
        elif outcome == "refused":
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                outcome = "refused too often"
        self._answer(table.AUTHENTICATION, outcome)
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
            if self.state == table.LOGIN:
                line = self._commands.take_line()
                return line is not None and self._go_on_with_login(line)
            command = self._commands.take()
        except TooLongError:
            self._answer(table.TROUBLE, "line too long")
            return False
        if command is None:
            return False
        step = table.TABLE[self.state].get(command.verb, table.UNKNOWN)
        self._do(step if self._is_offered(step) else table.UNKNOWN, command)
        return True

    def _is_offered(self, step: str) -> bool:
        word = extensions.STARTTLS if step == table.SECURITY else extensions.AUTH
        return step not in table.OFFERED or word in self._policy.extensions.words

    def _do(self, step: str, command: Command) -> None:
        if step == table.FROM:
            self._answer(table.FROM, self._take_sender(command.argument))
        elif step == table.TO:
            self._answer(table.TO, self._take_recipient(command.argument))
        elif step == table.MESSAGE:
            self._waiting = True
            self._actions.append(Begin(self._helo, self._protocol()))
        elif step == table.SECURITY:
            self._secure_connection(command.argument)
        elif step == table.AUTHENTICATION:
            self._log_in(command.argument)
        else:
            if step in {table.HELLO, table.EXTENDED_HELLO}:
                # case_diffs: what the DNS said already is not said again.
                same = command.argument.lower() == self._policy.remote_host.lower()
                self._helo = None if same else command.argument
                self._extended = step == table.EXTENDED_HELLO
            self._answer(step, "done")

    def _protocol(self) -> bytes:
        # qmail-smtpd calls everything SMTP.
        return extensions.protocol(
            extended=self._extended and bool(self._policy.extensions.words),
            secure=self._secure,
            authenticated=self._authenticated,
            utf8=self._parameters.utf8,
        )

    def _secure_connection(self, argument: bytes) -> None:
        if argument:
            self._answer(table.SECURITY, "argument")
        elif self._secure:
            self._answer(table.SECURITY, "secure already")
        elif not self._policy.certified:
            self._answer(table.SECURITY, "not available")
        else:
            self._answer(table.SECURITY, "agreed")
            # Whatever is here already came unprotected: somebody between us and the client may have put it there.
            self._commands.take_rest()
            self._waiting = True
            self._actions.append(StartTls())

    def _methods(self) -> tuple[bytes, ...]:
        policy = self._policy
        return extensions.mechanisms(
            policy.extensions,
            secure=self._secure,
            tls=extensions.STARTTLS in policy.extensions.words,
            secrets_known=policy.secrets_known,
        )

    def _log_in(self, argument: bytes) -> None:
        mechanism, space, initial = argument.rstrip(b" ").partition(b" ")
        mechanism = mechanism.upper()
        if self._authenticated:
            self._answer(table.AUTHENTICATION, "known already")
        elif mechanism not in self._methods():
            clear = mechanism in extensions.CLEAR and not self._secure
            self._answer(table.AUTHENTICATION, "insecure" if clear else "no such mechanism")
        else:
            self._sasl = Sasl(mechanism, self._policy.challenge())
            self._ask(lambda sasl: sasl.start(initial.lstrip(b" ") if space else None))

    def _go_on_with_login(self, line: bytes) -> bool:
        self._ask(lambda sasl: sasl.answer(line))
        return True

    def _ask(self, step: Callable[[Sasl], Challenge | Login]) -> None:
        """Take one step of the login under way."""
        assert self._sasl is not None  # noqa: S101 - set before the state says that a login is under way
        try:
            found = step(self._sasl)
        except SaslError as error:
            self._answer(table.AUTHENTICATION, str(error))
            return
        if isinstance(found, Challenge):
            self._answer(table.AUTHENTICATION, "asked", {b"CHALLENGE": encode(found.text)})
            return
        self._waiting = True
        self._actions.append(Check(found))

    def _answer(self, step: str, outcome: str, words: Mapping[bytes, bytes] | None = None) -> None:
        """Say what the table says and go where it says."""
        text, state = table.STEPS[step][outcome]
        offered = self._policy.extensions
        if step == table.EXTENDED_HELLO and offered.words:
            tls = extensions.STARTTLS in offered.words and self._policy.certified and not self._secure
            text = extensions.hello(b"GREETING", offered, self._policy.databytes, tls=tls, methods=self._methods())
        for name, word in (words or {b"GREETING": self._policy.greeting}).items():
            text = text.replace(name, word)
        if extensions.ENHANCED in offered.words:
            text = extensions.enhanced(text, step)
        self._actions.append(Reply(text + b"\r\n"))
        if state != table.SAME:
            self.state = state
        if state == table.OVER:
            self._actions.append(End(0 if step == table.QUIT else 1))

    def _address(self, argument: bytes) -> bytes | None:
        address = addresses.parse(argument)
        address = addresses.localize(address, self._policy.literal_host, self._policy.here)
        return address if len(address) <= addresses.LONGEST else None

    def _understood(self, argument: bytes) -> extensions.Parameters | None:
        # qmail-smtpd looks at no parameter.
        offered = self._policy.extensions
        return extensions.parameters(argument, offered) if offered.words else extensions.Parameters()

    def _take_sender(self, argument: bytes) -> str:
        if self._policy.login_required and not self._authenticated:
            return "stranger"
        address = self._address(argument)
        if address is None:
            return "too long"
        found = self._understood(argument)
        if found is None:
            return "bad parameter"
        if found.size is not None and 0 < self._policy.databytes < found.size:
            return "too big"
        self._parameters = found
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
        if self._understood(argument) is None:
            return "bad parameter"
        if self._sender_is_bad:
            return "bad sender"
        if self._relay is not None:
            address += self._relay
        else:
            accepted = self._policy.accepts(address)
            if not accepted:
                return "cannot tell" if accepted is None else "not ours"
        if self._policy.exists is not None and not self._policy.exists(address):
            return "no mailbox"
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
