"""The process that stays root while nobody who serves a client does: qmail-authority's, for a tcpserver's sessions.

It is forked before tcpserver is run and holds one end of a socket. The other end, at the descriptor that
$QMAILAUTHORITY names, is inherited by tcpserver and all its sessions, which are another account. A session that has a
question sends one end of a socket of its own and what tcpserver has told it about the client. It is answered by a child
that lives as long as the session: `svtree.mail.smtp.authority` has the questions, and nobody waits for anybody else's
answer.
"""

from __future__ import annotations

import os
from errno import EAGAIN
from time import sleep

from svtree.formats.numbers import scan
from svtree.mail.smtp.authority import Direct, answer
from svtree.system.descriptors import duplicate
from svtree.system.errors import reason
from svtree.system.loop import GONE, READ, Loop
from svtree.system.signals import ignore_broken_pipes
from svtree.system.sockets import receive, send
from svtree.system.streams import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair

    from svtree.program import Environ
else:
    # The Python module around it costs a small program 5 ms.
    from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair

VARIABLE = b"QMAILAUTHORITY"
NAME = b"qmail-authority: "
# Above what a supervisor hands over, which begins at 3.
LOWEST = 64
LONGEST = 16384
# Sessions that have questions at the same time. A tcpserver has 40 unless it is told otherwise.
MOST = 1000
# No program before us has left a descriptor open beyond this.
OPEN = 65536
# Seconds before what has died is started anew.
PAUSE = 1


def begin(checker: Sequence[bytes], environ: Environ) -> int:
    """Start the process that stays what we are; the descriptor by which sessions call it. Raises OSError.

    `checker` is a checkpassword program with its words, or empty: the accounts are asked.
    """
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    with_us = os.fork()
    if with_us == 0:
        code = 1
        try:
            ours.close()
            # Not tcpserver's child, which has no idea of it.
            if os.fork() == 0:
                _alone(theirs.fileno())
                _stand(theirs, checker, environ)
            code = 0
        finally:
            # Whatever happened: the program is the parent's.
            os._exit(code)
    theirs.close()
    if os.waitpid(with_us, 0)[1]:
        raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
    called = duplicate(ours.fileno(), LOWEST)
    ours.close()
    os.set_inheritable(called, True)
    return called


def call(environ: Environ) -> socket:
    """A channel to somebody who answers this session's questions. Raises OSError."""
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    told = b"\0".join(b"%s=%s" % pair for pair in environ.items() if pair[0].startswith(b"TCP"))
    try:
        channel = socket(fileno=os.dup(scan(environ.get(VARIABLE, b""))[0] or 0))
        try:
            send(channel, told or b"=", theirs.fileno())
        finally:
            channel.close()
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return ours


def _alone(descriptor: int) -> None:
    """Keep this descriptor and standard error, nothing else, and hear no terminal."""
    os.setsid()
    nowhere = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, OPEN)
    ignore_broken_pipes()


def _stand(channel: socket, checker: Sequence[bytes], environ: Environ) -> None:
    """Until there is nobody left who could call, have a process that hears the calls."""
    while True:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _Exchange(channel, checker, environ).run()
                code = 0
            finally:
                os._exit(code)
        status = os.waitpid(pid, 0)[1]
        if status == 0:
            return
        _warn(f"the process that hears sessions has died (status {status}): starting it anew")
        sleep(PAUSE)


class _Exchange:
    """Hears calls and gives each session a child that answers."""

    def __init__(self, channel: socket, checker: Sequence[bytes], environ: Environ) -> None:
        self._channel = channel
        self._checker = checker
        self._environ = environ
        self._loop = Loop()
        self._answering = 0

    def run(self) -> None:
        self._loop.watch(self._channel.fileno(), READ, self._hear)
        self._loop.run()

    def _hear(self, events: int) -> None:
        message, descriptors = receive(self._channel, LONGEST, 1)
        if not message and events & GONE:
            # Neither tcpserver nor any of its sessions is left.
            self._loop.stop()
        for descriptor in descriptors:
            if self._answering < MOST:
                self._connect(descriptor, message)
            else:
                _warn(f"{MOST} sessions are asking: not answering another")
            os.close(descriptor)

    def _connect(self, descriptor: int, message: bytes) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            _warn(f"unable to fork: {reason(error)}")
            return
        if pid == 0:
            try:
                self._loop.close()
                self._channel.close()
                answer(socket(fileno=descriptor), Direct(self._checker, {**self._environ, **_told(message)}))
            finally:
                os._exit(0)
        self._answering += 1
        self._loop.on_exit(pid, lambda: self._ended(pid))

    def _ended(self, pid: int) -> None:
        os.waitpid(pid, 0)
        self._answering -= 1


def _told(message: bytes) -> Environ:
    """What a session says of its client. All else in the environment is ours: no session chooses what root runs."""
    pairs = (pair.partition(b"=") for pair in message.split(b"\0"))
    return {name: value for name, equals, value in pairs if equals and name.startswith(b"TCP")}


def _warn(line: str) -> None:
    complain(NAME + b"warning: " + line.encode())
