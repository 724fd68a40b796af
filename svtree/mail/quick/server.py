"""Serving one QMQP or QMTP client at descriptors 0 and 1: what drives the machines.

Follows qmail-qmqpd.c and qmail-qmtpd.c: an hour for everything, exit code 0 when the client is gone, 100 when it broke
the protocol, 111 when we cannot go on; nothing is told to the client then, which tries again.
"""

from __future__ import annotations

from time import time

from svtree.formats.received import Peer, received
from svtree.mail.dialogue import Dialogue, GoneError, SilentError
from svtree.mail.queue import submit
from svtree.mail.quick.stream import GONE, NEED, RESOURCES, Abandon, Begin, End, Finish, Reply, Write
from svtree.program import UsageError, number, options
from svtree.system.alarm import Alarm, AlarmError
from svtree.system.descriptors import ensure_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.mail.quick.stream import Action, Conversation
    from svtree.program import Environ

# Seconds for a connection, unless the option -t says otherwise.
PATIENCE = 3600
# What alarm(2) and poll(2) both take.
LONGEST = 2_000_000


def patience(argv: Sequence[bytes], usage: str) -> int:
    """The seconds that a server's arguments, `[ -t seconds ]`, give a connection. Raises UsageError."""
    letters, rest = options(argv, "t:", usage)
    seconds = PATIENCE
    for _, value in letters:
        seconds = number(value)
    if rest or not 0 < seconds <= LONGEST:
        raise UsageError(usage)
    return seconds


def serve(conversation: Conversation, protocol: bytes, environ: Environ, seconds: int = PATIENCE) -> int:
    """Serve the client, for at most so many seconds; the exit code."""
    ensure_standard()
    try:
        with Alarm(seconds), Dialogue(seconds) as dialogue:
            server = _Server(conversation, protocol, environ, dialogue)
            try:
                return server.run()
            finally:
                server.forget()
    except (AlarmError, SilentError):
        return RESOURCES
    except GoneError:
        return GONE


class _Server:
    """Performs the actions of one conversation."""

    def __init__(self, conversation: Conversation, protocol: bytes, environ: Environ, dialogue: Dialogue) -> None:
        self._conversation = conversation
        self._protocol = protocol
        self._environ = environ
        self._dialogue = dialogue
        self._submission: submit.Submission | None = None

    def run(self) -> int:
        action = next(self._conversation)
        while not isinstance(action, End):
            action = self._conversation.send(self._hear() if action is NEED else self._perform(action))
        self._dialogue.flush()
        return action.code

    def forget(self) -> None:
        """Forget the message that has begun, if one has."""
        submission, self._submission = self._submission, None
        if submission is not None:
            submission.abandon()

    def _hear(self) -> bytes:
        self._dialogue.flush()
        try:
            return self._dialogue.hear()
        except GoneError:
            return b""

    def _perform(self, action: Action) -> bytes:
        """Do it; the answer."""
        if isinstance(action, Begin):
            self._submission = submit.begin(self._environ, b"network")
            self._submission.write(received(Peer.told(self._environ), self._protocol, None, int(time())))
        elif isinstance(action, Write):
            if self._submission is not None:
                self._submission.write(action.data)
        elif isinstance(action, Finish):
            return self._finish(action)
        elif isinstance(action, Abandon):
            self.forget()
        elif isinstance(action, Reply):
            self._dialogue.say(action.data)
        return b""

    def _finish(self, action: Finish) -> bytes:
        submission, self._submission = self._submission, None
        if submission is None:
            return b"Zqq internal bug (#4.3.0)"
        try:
            number = submission.finish(action.sender, action.recipients)
        except submit.SubmitError as error:
            return error.text.encode("utf-8", "replace")
        return b"Kok %d qp %d" % (time(), number)
