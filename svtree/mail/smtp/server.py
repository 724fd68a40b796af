"""Serving one SMTP client at descriptors 0 and 1: what drives the session machine.

Follows qmail-smtpd.c: which control files and variables count (`settings`), what is said when one cannot be read, and
the exit codes: 0 after QUIT, 1 after anything else. Keeps nothing between calls, so that one process may serve client
after client.
"""

from __future__ import annotations

from time import time

from svtree.formats.numbers import scan
from svtree.formats.received import Peer, received
from svtree.formats.record import record
from svtree.mail.controls import ControlError, Controls, home
from svtree.mail.dialogue import Dialogue, GoneError, SilentError
from svtree.mail.queue import submit
from svtree.mail.smtp.recipients import Recipients
from svtree.mail.smtp.session import Abandon, Begin, End, Finish, Policy, Reply, Session, Write
from svtree.system.descriptors import ensure_standard
from svtree.system.errors import reason
from svtree.system.interfaces import addresses
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.smtp.session import Action
    from svtree.program import Environ

NAME = "qmail-smtpd"
# Seconds, unless control/timeoutsmtpd says otherwise.
TIMEOUT = 1200
UNREADABLE = b"421 unable to read controls (#4.3.0)\r\n"
NO_ADDRESSES = b"421 unable to figure out my IP addresses (#4.3.0)\r\n"


@record
class Settings:
    """All that a session needs to know beforehand."""

    policy: Policy
    peer: Peer
    recipients: Recipients
    timeout: int


def serve(environ: Environ) -> int:
    """Serve the client; returns qmail-smtpd's exit code."""
    ensure_standard()
    try:
        settings = read_settings(environ)
    except ControlError as error:
        return _turn_away(UNREADABLE, str(error))
    except OSError as error:
        return _turn_away(NO_ADDRESSES, f"unable to figure out my IP addresses: {reason(error)}")
    try:
        with Dialogue(settings.timeout) as dialogue:
            return _Server(settings, environ, dialogue).run()
    finally:
        settings.recipients.close()


def read_settings(environ: Environ) -> Settings:
    """The control files and the environment. Raises ControlError, or OSError if our addresses cannot be had."""
    controls = Controls(home(environ))
    me = controls.me()
    greeting = controls.line("smtpgreeting", me)
    if greeting is None:
        shown = controls.directory.decode("utf-8", "surrogateescape")
        raise ControlError(f"unable to read {shown}/me: file does not exist")
    literal_host = controls.line("localiphost", me)
    timeout = controls.number("timeoutsmtpd", TIMEOUT)
    recipients = Recipients(controls, _warn)
    bad = controls.lines("badmailfrom") or ()
    databytes = controls.number("databytes", 0)
    if b"DATABYTES" in environ:
        databytes = scan(environ[b"DATABYTES"])[0] or 0
    peer = Peer(
        local=environ.get(b"TCPLOCALHOST", environ.get(b"TCPLOCALIP", b"unknown")),
        ip=environ.get(b"TCPREMOTEIP", b"unknown"),
        host=environ.get(b"TCPREMOTEHOST", b"unknown"),
        info=environ.get(b"TCPREMOTEINFO"),
    )
    policy = Policy(
        greeting=greeting,
        remote_host=peer.host,
        literal_host=literal_host or b"",
        here=addresses() if literal_host is not None else frozenset(),
        relay=environ.get(b"RELAYCLIENT"),
        accepts=recipients.accepts,
        bad_senders=frozenset(each.lower() for each in bad),
        databytes=databytes,
    )
    return Settings(policy, peer, recipients, max(1, timeout))


class _Server:
    """Performs the actions of one session."""

    def __init__(self, settings: Settings, environ: Environ, dialogue: Dialogue) -> None:
        self._session = Session(settings.policy)
        self._peer = settings.peer
        self._environ = environ
        self._dialogue = dialogue
        self._submission: submit.Submission | None = None
        self._code: int | None = None

    def run(self) -> int:
        try:
            self._perform(self._session.greet())
            while self._code is None:
                self._perform(self._next_event())
            self._dialogue.flush()
            return self._code
        except (GoneError, SilentError):
            # The client cannot be told anything any more.
            return 1
        finally:
            self._forget()

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
                elif isinstance(action, End):
                    self._code = action.code
            actions = more

    def _begin(self, action: Begin) -> list[Action]:
        try:
            self._submission = submit.begin(self._environ, b"network")
        except OSError as error:
            # No descriptors or no memory for it: what qmail_open fails of.
            complain(f"{NAME}: warning: unable to begin a message: {reason(error)}")
            return self._session.not_begun()
        self._submission.write(received(self._peer, b"SMTP", action.helo, int(time())))
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
