"""Serving one POP3 client at descriptors 0 and 1: what drives the session machines.

Two programs one after the other, as in qmail: `authorize` is qmail-popup, which asks for name and password and runs
the chain that checks them and becomes the user; `transact` is qmail-pop3d at the chain's end. Each keeps its own
descriptors only as long as it runs.
"""

from __future__ import annotations

import os
from time import time

from svtree.mail.dialogue import BLOCK, Dialogue, GoneError, SilentError
from svtree.mail.pop3 import maildir
from svtree.mail.pop3.session import Authorization, Check, End, Message, Open, Reply, Send, Transaction, Update
from svtree.mail.pop3.stuffing import Stuffing
from svtree.multicall import become
from svtree.system.descriptors import ensure_standard, place
from svtree.system.signals import as_a_c_program
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from svtree.mail.pop3.maildir import Stored
    from svtree.mail.pop3.session import Action
    from svtree.program import Environ

# Seconds.
TIMEOUT = 1200
# Where the checker reads the login from: cr.yp.to/checkpwd/interface.html.
ASKED = 3


def authorize(host: bytes, checker: Sequence[bytes], environ: Environ) -> int:
    """Ask for a login and let `checker` serve it; returns qmail-popup's one exit code, 1."""
    ensure_standard()
    # A timestamp promises that APOP may work. Clients that believe it never try anything else.
    timestamp = b"" if b"NOAPOP" in environ else b"<%d.%d@%s>" % (os.getpid(), int(time()), host)
    session = Authorization(timestamp)
    try:
        with Dialogue(TIMEOUT) as dialogue:
            actions: Sequence[Action] = session.greet()
            while True:
                more: Sequence[Action] = ()
                for action in actions:
                    if isinstance(action, Reply):
                        dialogue.say(action.data)
                    elif isinstance(action, Check):
                        dialogue.flush()
                        outcome = _check(action, timestamp, checker, environ)
                        more = session.checked(outcome)
                    elif isinstance(action, End):
                        dialogue.flush()
                        return 1
                # Byte by byte: what follows the password is for another program, which reads the descriptor itself.
                actions = more or session.receive(dialogue.hear(1))
    except (GoneError, SilentError):
        return 1


def transact(directory: bytes) -> int:
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
            _Server(messages, dialogue).run()
    except (GoneError, SilentError):
        # RFC 1939: a session that ends without QUIT removes nothing.
        return 0
    return 0


class _Server:
    """Performs the actions of one transaction."""

    def __init__(self, messages: Sequence[Stored], dialogue: Dialogue) -> None:
        self._messages = messages
        self._session = Transaction([Message(each.size, each.unique) for each in messages])
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


def _check(login: Check, timestamp: bytes, checker: Sequence[bytes], environ: Environ) -> str:
    """Run the checker and all that comes after it in a child; the outcome, as the session's STEPS name it."""
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC)
    except OSError:
        return "no pipe"
    try:
        child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return "no process"
    if child == 0:
        os.close(writing)
        _be_checker(reading, checker, environ)
    os.close(reading)
    try:
        # It fits into the pipe's buffer: a checker that reads nothing cannot hold us up.
        write_all(writing, b"%s\0%s\0%s\0" % (login.user, login.password, timestamp))
    except OSError:
        failed = True
    else:
        failed = False
    os.close(writing)
    # As long as the client's session lasts; qmail-pop3d's own time limit ends it.
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # A checker that fails at once may do so before or after we write: its exit code says the same in both cases.
    if code:
        return "crashed" if code < 0 else "refused"
    return "not read" if failed else "served"


def _be_checker(reading: int, checker: Sequence[bytes], environ: Environ) -> NoReturn:
    try:
        place({ASKED: reading})
        if reading != ASKED:
            os.close(reading)
        as_a_c_program()
        become(checker, environ)
    except BaseException:  # noqa: BLE001 - a second copy of the parent must not go on, whatever happened
        os._exit(1)
