"""Serving one POP3 client at descriptors 0 and 1: what drives the session machines.

Two programs one after the other, as in qmail: `authorize` is qmail-popup, which asks for name and password and runs
the chain that checks them and becomes the user; `transact` is qmail-pop3d at the chain's end. Each keeps its own
descriptors only as long as it runs.
"""

from __future__ import annotations

import os
from time import time

from svtree.mail.accounts import AccountError
from svtree.mail.checker import Checker, CheckerError
from svtree.mail.controls import ControlError
from svtree.mail.dialogue import BLOCK, Dialogue, GoneError, SilentError
from svtree.mail.login import Outsider
from svtree.mail.pop3 import maildir
from svtree.mail.pop3.offering import Offering, read, tell, told, unique
from svtree.mail.pop3.session import (
    Authorization,
    Check,
    End,
    Message,
    Offer,
    Open,
    Reply,
    Send,
    StartTls,
    Transaction,
    Update,
)
from svtree.mail.pop3.stuffing import Stuffing
from svtree.system.descriptors import ensure_standard
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.pop3.maildir import Stored
    from svtree.mail.pop3.session import Action
    from svtree.mail.tls import Secured
    from svtree.program import Environ

# Seconds.
TIMEOUT = 1200


def authorize(host: bytes, checker: Sequence[bytes], environ: Environ) -> int:
    """Ask for a login and let `checker` serve it; returns qmail-popup's one exit code, 1."""
    ensure_standard()
    try:
        offering = read(environ, checker, _warn)
    except ControlError as error:
        _warn(str(error))
        offering = Offering(Offer(), timestamp=b"NOAPOP" not in environ, certificate=b"")
    try:
        with Dialogue(TIMEOUT) as dialogue:
            _Login(host, checker, offering, environ, dialogue).run()
    except (GoneError, SilentError):
        return 1
    return 1


class _Login:
    """Performs the actions of one authorization."""

    def __init__(
        self, host: bytes, checker: Sequence[bytes], offering: Offering, environ: Environ, dialogue: Dialogue
    ) -> None:
        # A timestamp promises that APOP may work. Clients that believe it never try anything else.
        self._timestamp = b"<%d.%d@%s>" % (os.getpid(), int(time()), host) if offering.timestamp else b""
        self._session = Authorization(self._timestamp, offering.offer)
        self._checker = checker
        self._offering = offering
        self._environ = tell(offering.offer, environ)
        self._dialogue: Dialogue | Secured = dialogue

    def run(self) -> None:
        try:
            if self._offering.offer.secure:
                self._secure()
            actions: Sequence[Action] = self._session.greet()
            while self._perform(actions):
                # Byte by byte: what follows the password is for another program, which reads the descriptor itself.
                actions = self._session.receive(self._dialogue.hear(1))
        finally:
            if not isinstance(self._dialogue, Dialogue):
                self._dialogue.finish()

    def _perform(self, actions: Sequence[Action]) -> bool:
        """Perform actions, and those that the session answers to them with; False when the session is over."""
        while actions:
            more: Sequence[Action] = ()
            for action in actions:
                if isinstance(action, Reply):
                    self._dialogue.say(action.data)
                elif isinstance(action, StartTls):
                    self._secure()
                    more = self._session.secured()
                elif isinstance(action, Check):
                    self._dialogue.flush()
                    more = self._session.checked(self._check(action))
                elif isinstance(action, End):
                    self._dialogue.flush()
                    return False
            actions = more
        return True

    def _secure(self) -> None:
        """Go on within TLS. Raises GoneError."""
        from svtree.mail.tls import secured

        if isinstance(self._dialogue, Dialogue):
            client = self._environ.get(b"TCPREMOTEIP", b"unknown")
            self._dialogue = secured(self._dialogue, self._offering.certificate, client, _warn)

    def _check(self, action: Check) -> str:
        """Run the checker and all that comes after it; the outcome, as the session's STEPS name it."""
        login = b"%s\0%s\0%s\0" % (action.user, action.password, self._timestamp)
        try:
            guard = Outsider(self._checker, self._environ, _warn_in_bytes)
            if guard.turns_away(action.user):
                return "refused"
            if isinstance(self._dialogue, Dialogue):
                checker = Checker(login, self._checker, self._environ)
            else:
                checker = self._check_within(login, self._dialogue)
        except AccountError as error:
            _warn(str(error))
            return "refused"
        except CheckerError as error:
            return str(error)
        # As long as the client's session lasts; qmail-pop3d's own time limit ends it.
        code = checker.end()
        guard.ended(action.user, code)
        # A checker that fails at once may do so before or after we write: its exit code says the same in both cases.
        if code:
            return "crashed" if code < 0 else "refused"
        return "served" if checker.heard else "not read"

    def _check_within(self, login: bytes, dialogue: Secured) -> Checker:
        """The checker and what comes after it speak plainly, to us, and we with the client."""
        from socket import AF_UNIX, SOCK_STREAM, socketpair

        try:
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        except OSError as error:
            raise CheckerError("no pipe") from error
        with ours:
            with theirs:
                checker = Checker(login, self._checker, self._environ, theirs.fileno())
            dialogue.carry(ours.fileno())
        return checker


def transact(directory: bytes, environ: Environ) -> int:
    """Give out the Maildir `directory`; returns qmail-pop3d's one exit code for that, 0."""
    ensure_standard()
    try:
        with Dialogue(TIMEOUT) as dialogue:
            try:
                os.stat(directory + b"/.")
            except OSError:
                dialogue.say(b"-ERR this user has no $HOME/Maildir\r\n")
                dialogue.flush()
                return 0
            maildir.clean(directory, time())
            try:
                messages = maildir.scan(directory)
            except OSError:
                dialogue.say(b"-ERR unable to scan $HOME/Maildir\r\n")
                dialogue.flush()
                return 0
            _Server(messages, told(environ), dialogue).run()
    except (GoneError, SilentError):
        # RFC 1939: a session that ends without QUIT removes nothing.
        return 0
    return 0


class _Server:
    """Performs the actions of one transaction."""

    def __init__(self, messages: Sequence[Stored], offer: Offer, dialogue: Dialogue) -> None:
        self._messages = messages
        self._session = Transaction([Message(each.size, unique(each.unique)) for each in messages], offer)
        self._dialogue = dialogue
        self._file = -1
        self._over = False

    def run(self) -> None:
        try:
            self._perform(self._session.greet())
            while not self._over:
                self._perform(self._session.receive(self._dialogue.hear()))
            self._dialogue.flush()
        finally:
            self._close()

    def _perform(self, actions: Sequence[Action]) -> None:
        """Perform actions, and those that the session answers to them with."""
        while actions:
            more: Sequence[Action] = ()
            for action in actions:
                if isinstance(action, Reply):
                    self._dialogue.say(action.data)
                elif isinstance(action, Open):
                    more = self._open(self._messages[action.index].path)
                elif isinstance(action, Send):
                    self._send(action)
                elif isinstance(action, Update):
                    more = self._session.updated(maildir.update(self._messages, frozenset(action.deleted)))
                elif isinstance(action, End):
                    self._over = True
            actions = more

    def _open(self, path: bytes) -> list[Action]:
        try:
            # O_NONBLOCK: what was a file when it was listed may be a FIFO now.
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return self._session.not_opened()
        return self._session.opened()

    def _send(self, action: Send) -> None:
        stuffing = Stuffing(action.lines)
        while not stuffing.done:
            try:
                block = os.read(self._file, BLOCK)
            except OSError as error:
                # Half a message has been sent: there is no way left to say so but to end.
                raise GoneError from error
            if not block:
                break
            self._dialogue.say(stuffing.feed(block))
        self._dialogue.say(stuffing.finish())
        self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _warn_in_bytes(line: bytes) -> None:
    complain(b"qmail-popup: warning: " + line)


def _warn(line: str) -> None:
    complain(f"qmail-popup: warning: {line}")
