"""Serving one SMTP client at descriptors 0 and 1: what drives the session machine.

Follows qmail-smtpd.c: what is said when a control file cannot be read, and the exit codes: 0 after QUIT, 1 after
anything else. Keeps nothing between calls, so that one process may serve client
after client.
"""

from __future__ import annotations

from time import time

from svtree.formats.received import Peer, received
from svtree.mail.controls import ControlError
from svtree.mail.dialogue import Dialogue, GoneError, SilentError
from svtree.mail.queue import submit
from svtree.mail.smtp.actions import Abandon, Begin, Check, End, Finish, Reply, StartTls, Write
from svtree.mail.smtp.configuration import TIMEOUT
from svtree.mail.smtp.session import Session
from svtree.mail.smtp.settings import Settings, read
from svtree.program import Spent
from svtree.system.descriptors import ensure_standard
from svtree.system.errors import reason
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.smtp.actions import Action
    from svtree.mail.tls import Secured
    from svtree.program import Environ

NAME = "qmail-smtpd"
UNREADABLE = b"421 unable to read controls (#4.3.0)\r\n"
NO_ADDRESSES = b"421 unable to figure out my IP addresses (#4.3.0)\r\n"


def serve(environ: Environ, checker: Sequence[bytes] = ()) -> int:
    """Serve the client; returns qmail-smtpd's exit code. `checker` is the program that checks logins, and its words."""
    ensure_standard()
    try:
        settings = read(environ, checker, _warn)
    except ControlError as error:
        return _turn_away(UNREADABLE, str(error))
    except OSError as error:
        return _turn_away(NO_ADDRESSES, f"unable to figure out my IP addresses: {reason(error)}")
    try:
        with Dialogue(settings.configuration.timeout) as dialogue:
            server = _Server(settings, environ, dialogue)
            code = server.run()
            return Spent(code) if server.has_checked else code
    finally:
        settings.close()


class _Server:
    """Performs the actions of one session."""

    def __init__(self, settings: Settings, environ: Environ, dialogue: Dialogue) -> None:
        self._settings = settings
        self._session = Session(settings.policy)
        self._peer = settings.peer
        self._given = self._environ = environ
        self._dialogue: Dialogue | Secured = dialogue
        self._submission: submit.Submission | None = None
        self._code: int | None = None
        self.has_checked = False

    def run(self) -> int:
        try:
            if self._settings.policy.secure:
                self._secure()
            self._perform(self._session.greet())
            while self._code is None:
                self._perform(self._next_event())
            self._dialogue.part()
            return self._code
        except (GoneError, SilentError):
            # The client cannot be told anything any more.
            return 1
        finally:
            self._forget()
            self._take_leave()

    def _next_event(self) -> list[Action]:
        # Apart from hearing: a client that does not take its answers need not be told that it is silent.
        self._dialogue.flush()
        try:
            return self._session.receive(self._dialogue.hear())
        except SilentError:
            return self._session.timed_out()
        except GoneError:
            return self._session.closed()

    def _perform(self, actions: Sequence[Action]) -> None:
        """Perform actions, and those that the session answers to them with."""
        while actions:
            more: Sequence[Action] = ()
            for action in actions:
                if isinstance(action, Reply):
                    self._dialogue.say(action.data)
                elif isinstance(action, Write):
                    if self._submission is not None:
                        self._submission.write(action.data)
                elif isinstance(action, Begin):
                    more = self._begin(action)
                elif isinstance(action, Finish):
                    more = self._finish(action)
                elif isinstance(action, Abandon):
                    self._forget()
                elif isinstance(action, StartTls):
                    self._secure()
                    more = self._session.secured()
                elif isinstance(action, Check):
                    more = self._check(action)
                elif isinstance(action, End):
                    self._code = action.code
            actions = more

    def _secure(self) -> None:
        """Go on within TLS. Raises GoneError."""
        from svtree.mail.tls import secured

        if isinstance(self._dialogue, Dialogue):
            self._dialogue = secured(self._dialogue, self._settings.certificate, self._peer.ip, _warn)
        # As somebody who has just come: RFC 3207.
        self._peer, self._environ = self._settings.peer, self._given

    def _take_leave(self) -> None:
        if not isinstance(self._dialogue, Dialogue):
            self._dialogue.finish()

    def _check(self, action: Check) -> list[Action]:
        # Checking may take long; the client shall have had all answers before.
        self._dialogue.flush()
        self.has_checked = True
        authority = self._settings.authority
        outcome = "cannot tell" if authority is None else authority.check(action.login)
        if outcome == "accepted":
            peer = self._peer
            # As with ident: whose the connection is, says the Received line.
            self._peer = Peer(peer.local, peer.ip, peer.host, action.login.user)
            self._environ = {**self._environ, b"TCPREMOTEINFO": action.login.user}
        return self._session.checked(outcome)

    def _begin(self, action: Begin) -> list[Action]:
        try:
            self._submission = submit.begin(self._environ, b"network")
        except OSError as error:
            # No descriptors or no memory for it: what qmail_open fails of.
            complain(f"{NAME}: warning: unable to begin a message: {reason(error)}")
            return self._session.not_begun()
        self._submission.write(received(self._peer, action.protocol, action.helo, int(time())))
        return self._session.begun()

    def _finish(self, action: Finish) -> list[Action]:
        submission, self._submission = self._submission, None
        if submission is None:
            return self._session.not_begun()
        try:
            number = submission.finish(action.sender, action.recipients)
        except submit.SubmitError as error:
            return self._session.refused(error.text.encode("utf-8", "replace"))
        return self._session.finished(int(time()), number)

    def _forget(self) -> None:
        submission, self._submission = self._submission, None
        if submission is not None:
            submission.abandon()


def _turn_away(text: bytes, why: str) -> int:
    complain(f"{NAME}: fatal: {why}")
    try:
        with Dialogue(TIMEOUT) as dialogue:
            dialogue.say(text)
            dialogue.flush()
    except (GoneError, SilentError):
        # It would have been turned away.
        return 1
    return 1


def _warn(line: str) -> None:
    complain(f"{NAME}: warning: {line}")
