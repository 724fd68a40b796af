"""Who answers what a session may not find out by itself: whether a login is good, whether there is such a mailbox.

In an ordinary user's tree that is the session's own process. In root's it is another: passwords and homes are root's
to read, and whoever reads a stranger's bytes is not root. It is a child of the one that qmail-authority has left
standing (`svtree.mail.smtp.standing`), or, where qmail-smtpd was itself started as root and given an account in $UID
and $GID, its own child: it forks before the first byte, and the parent becomes the account and serves the client.
Questions go over a socket, one packet each way.
"""

from __future__ import annotations

import os

from svtree.formats.numbers import scan
from svtree.mail import accounts
from svtree.mail.accounts import AccountError
from svtree.mail.checker import Checker, CheckerError
from svtree.mail.controls import ControlError, home
from svtree.mail.login import Outsider, log_in
from svtree.mail.smtp.mailboxes import Mailboxes
from svtree.mail.smtp.sasl import Login
from svtree.program import TEMPORARY
from svtree.system.errors import reason
from svtree.system.privileges import become
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair
    from typing import Protocol

    from svtree.program import Environ

    class Authority(Protocol):
        """Answers; none of its methods raises."""

        def check(self, login: Login) -> str:
            """The outcome of a login: "accepted", "refused" or "cannot tell"."""

        def exists(self, address: bytes) -> bool:
            """Whether a recipient has a mailbox, as far as can be told."""

        def knows_secrets(self) -> bool:
            """Whether every account's secret is known, so that CRAM-MD5 can work."""

        def close(self) -> None:
            """There are no more questions."""

else:
    # The Python module around it costs a small program 5 ms.
    from _socket import AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair

NAME = b"qmail-smtpd: "
LOGIN, MAILBOX, SECRETS = b"L", b"M", b"S"
OUTCOMES = {b"a": "accepted", b"r": "refused", b"c": "cannot tell"}
LETTERS = {outcome: letter for letter, outcome in OUTCOMES.items()}
YES, NO = b"y", b"n"
# A question is shorter: an address has 899 bytes, a login 512.
LONGEST = 4096


class Direct:
    """Finds it out here and now."""

    def __init__(self, checker: Sequence[bytes], environ: Environ) -> None:
        """`checker` is a checkpassword program and what it shall run, usually `true`; none: the accounts are asked."""
        self._checker = checker
        self._environ = environ
        self._mailboxes: Mailboxes | None = None

    def check(self, login: Login) -> str:
        """See `Authority`."""
        try:
            if self._checker:
                return self._run(login)
            found = log_in((login.user, login.password, login.proof), self._environ, _warn)
        except AccountError as error:
            _warn(str(error).encode("utf-8", "surrogateescape"))
            return "cannot tell"
        return "refused" if found is None else "accepted"

    def exists(self, address: bytes) -> bool:
        """See `Authority`."""
        try:
            if self._mailboxes is None:
                self._mailboxes = Mailboxes(self._environ, lambda line: _warn(os.fsencode(line)))
            return self._mailboxes.exists(address)
        except ControlError as error:
            _warn(os.fsencode(str(error)))
            return True

    def knows_secrets(self) -> bool:
        """See `Authority`. Other people's checkers do not tell."""
        if self._checker:
            return False
        try:
            return accounts.knows_all_secrets(home(self._environ))
        except AccountError:
            return False

    def close(self) -> None:
        """See `Authority`."""

    def _run(self, login: Login) -> str:
        guard = Outsider(self._checker, self._environ, _warn)
        if guard.turns_away(login.user):
            return "refused"
        # What the chain runs at its end has no business with the client.
        nowhere = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            code = Checker(login.packed(), self._checker, self._environ, nowhere).end()
        except CheckerError as error:
            _warn(f"unable to check a login: {error}".encode())
            return "cannot tell"
        finally:
            os.close(nowhere)
        guard.ended(login.user, code)
        if code == 0:
            return "accepted"
        return "cannot tell" if code == TEMPORARY or code < 0 else "refused"


class Apart:
    """Asks another process, that which answers with a `Direct`."""

    def __init__(self, call: Callable[[], socket], child: int = 0) -> None:
        """`call` gives the channel to it, at the first question; `child` is its pid if it is ours to wait for."""
        self._call = call
        self._channel: socket | None = None
        self._child = child

    def check(self, login: Login) -> str:
        """See `Authority`."""
        return OUTCOMES.get(self._ask(LOGIN + login.packed()), "cannot tell")

    def exists(self, address: bytes) -> bool:
        """See `Authority`."""
        return self._ask(MAILBOX + address) != NO

    def knows_secrets(self) -> bool:
        """See `Authority`."""
        return self._ask(SECRETS) == YES

    def close(self) -> None:
        """End the other process."""
        if self._child and self._channel is None:
            self._channel = self._call()
        if self._channel is not None:
            self._channel.close()
        if self._child:
            os.waitpid(self._child, 0)

    def _ask(self, question: bytes) -> bytes:
        try:
            if self._channel is None:
                self._channel = self._call()
            self._channel.send(question, MSG_NOSIGNAL)
            said = self._channel.recv(LONGEST)
        except OSError as error:
            _warn(f"unable to ask the process that stayed root: {reason(error)}".encode())
            return b""
        if not said:
            _warn(b"the process that stayed root does not answer")
        return said


def identity(environ: Environ) -> tuple[int, int] | None:
    """$UID and $GID where there is somebody to become: for root, an account that is not root."""
    uid, gid = (scan(environ.get(name, b""))[0] for name in (b"UID", b"GID"))
    return (uid, gid) if os.geteuid() == 0 and uid and gid is not None else None


def set_apart(direct: Direct, uid: int, gid: int) -> Apart:
    """Become uid and gid; `direct` answers from a process that stays what we were. Raises OSError."""
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            # The client's connection must end with the session, not with us.
            nowhere = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
            for standard in (0, 1):
                os.dup2(nowhere, standard)
            answer(theirs, direct)
        finally:
            # Whatever happened: the session is the parent's.
            os._exit(0)
    theirs.close()
    become(gid, uid)
    return Apart(lambda: ours, pid)


def answer(channel: socket, direct: Direct) -> None:
    """Answer one session's questions, until it is over."""
    while question := channel.recv(LONGEST):
        kind, rest = question[:1], question[1:]
        if kind == LOGIN and rest.count(b"\0") == 3:
            user, password, proof = rest.split(b"\0")[:3]
            channel.send(LETTERS[direct.check(Login(user, password, proof))])
        elif kind == MAILBOX:
            channel.send(YES if direct.exists(rest) else NO)
        else:
            channel.send(YES if kind == SECRETS and direct.knows_secrets() else NO)


def _warn(line: bytes) -> None:
    complain(NAME + b"warning: " + line)
