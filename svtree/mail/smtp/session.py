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
from svtree.mail.smtp import extensions, table
from svtree.mail.smtp.actions import Abandon, Begin, Check, End, Finish, Policy, Reply, StartTls, Write
from svtree.mail.smtp.body import Body, StrayNewlineError
from svtree.mail.smtp.envelope import Envelope
from svtree.mail.smtp.logins import Logins
from svtree.mail.smtp.sasl import Challenge, SaslError, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from svtree.mail.smtp.actions import Action
    from svtree.mail.smtp.sasl import Login

MAX_HOPS: Final = 100


class Session:
    """One connection. Each method is an event and returns what is to be done."""

    def __init__(self, policy: Policy) -> None:
        """The session begins with `greet`."""
        self.state = table.IDLE
        self._policy = policy
        self._commands = Commands()
        self._secure = policy.secure
        self._logins = Logins(policy)
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Know nothing about the client."""
        self._helo: bytes | None = None
        self._extended = False
        self._authenticated = False
        self._relay = self._policy.relay
        self._envelope = Envelope(self._policy)
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
        self._answer(table.AUTHENTICATION, self._logins.checked(outcome))
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
                return line is not None and self._ask(lambda: self._logins.go_on(line))
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
            stranger = self._policy.login_required and not self._authenticated
            self._answer(table.FROM, "stranger" if stranger else self._envelope.begin(command.argument))
        elif step == table.TO:
            self._answer(table.TO, self._envelope.add(command.argument, self._relay))
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
            utf8=self._envelope.parameters.utf8,
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

    def _log_in(self, argument: bytes) -> None:
        if self._authenticated:
            self._answer(table.AUTHENTICATION, "known already")
        else:
            self._ask(lambda: self._logins.begin(argument, secure=self._secure))

    def _ask(self, step: Callable[[], Challenge | Login]) -> bool:
        """Take one step of a login; always True: there may be more to do."""
        try:
            found = step()
        except SaslError as error:
            self._answer(table.AUTHENTICATION, str(error))
            return True
        if isinstance(found, Challenge):
            self._answer(table.AUTHENTICATION, "asked", {b"CHALLENGE": encode(found.text)})
        else:
            self._waiting = True
            self._actions.append(Check(found))
        return True

    def _answer(self, step: str, outcome: str, words: Mapping[bytes, bytes] | None = None) -> None:
        """Say what the table says and go where it says."""
        text, state = table.STEPS[step][outcome]
        offered = self._policy.extensions
        if step == table.EXTENDED_HELLO and offered.words:
            tls = extensions.STARTTLS in offered.words and self._policy.certified and not self._secure
            text = extensions.hello(
                b"GREETING", offered, self._policy.databytes, tls=tls, methods=self._logins.methods(secure=self._secure)
            )
        for name, word in (words or {b"GREETING": self._policy.greeting}).items():
            text = text.replace(name, word)
        if extensions.ENHANCED in offered.words:
            text = extensions.enhanced(text, step)
        self._actions.append(Reply(text + b"\r\n"))
        if state != table.SAME:
            self.state = state
        if state == table.OVER:
            self._actions.append(End(0 if step == table.QUIT else 1))

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
        self._actions.append(Finish(self._envelope.sender, tuple(self._envelope.recipients)))
        return False

    def _is_too_big(self) -> bool:
        return 0 < self._policy.databytes < self._size_of_body
