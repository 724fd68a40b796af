"""One local delivery: what an address's .qmail file says, done in order, forwards last.

Follows qmail-local(8), dot-qmail(5) and qmail-command(8). The first instruction that fails ends it; the whole is then
tried again later (111) or never (100), so that what was done before may be done twice, as in the original.
"""

from __future__ import annotations

import os

from svtree.formats import dates
from svtree.formats.addresses import quote
from svtree.formats.dotqmail import FORWARD, MAILDIR, MBOX, ONLY_FORWARD, PROGRAM, DotQmailError, instructions
from svtree.formats.record import record
from svtree.mail.delivery import dotqmail, maildir, mbox
from svtree.mail.delivery.failure import DeliveryError, permanent
from svtree.mail.delivery.forward import forward
from svtree.mail.delivery.message import refuse_loop, rewind
from svtree.system.errors import reason
from svtree.system.spawn import spawn
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from svtree.formats.dotqmail import Instruction
    from svtree.program import Environ

MESSAGE = 0
REPORT = 1
# An exit code of a program: do no more of this file. Those that bounce are sysexits.h's and qmail's own.
ENOUGH = 99
BOUNCE = frozenset({100, 64, 65, 70, 76, 77, 78, 112})


@record
class Recipient:
    """To whom and from whom: qmail-local's arguments. `dash` and `ext` name the .qmail file, `default` replaces it."""

    user: bytes
    home: bytes
    local: bytes
    dash: bytes
    ext: bytes
    host: bytes
    sender: bytes
    default: bytes


def deliver(recipient: Recipient, environ: Environ, *, now: int, show: bool) -> None:
    """Deliver the message on descriptor 0 and report on descriptor 1. Raises DeliveryError.

    `environ` is that of the programs in the .qmail file, who find the variables of qmail-command(8) added to it.
    With `show`, only say what would be done. The current directory becomes the recipient's home.
    """
    try:
        os.chdir(recipient.home)
    except OSError as error:
        text = b"Unable to switch to %s: %s. (#4.3.0)" % (recipient.home, reason(error).encode())
        raise DeliveryError(text) from error
    dotqmail.check_home(show=show)
    variables = {**environ, **_variables(recipient, now)}
    if not show:
        refuse_loop(MESSAGE, variables[b"DTLINE"])
    found = dotqmail.find(recipient.dash, recipient.ext)
    if found is None and recipient.dash:
        raise permanent("Sorry, no mailbox here by that name. (#5.1.1)")
    if found is not None and found.default is not None:
        variables[b"DEFAULT"] = recipient.ext[found.default :]
    variables[b"NEWSENDER"] = dotqmail.new_sender(
        recipient.sender, recipient.local, recipient.host, recipient.dash, recipient.ext
    )
    if found is not None and found.text:
        text, only_forward = found.text, found.only_forward
    else:
        text, only_forward = recipient.default, False
    try:
        steps = instructions(text)
    except DotQmailError as error:
        raise DeliveryError(str(error)) from error
    write_all(REPORT, _Delivery(variables, now=now, show=show, only_forward=only_forward).run(steps))


class _Delivery:
    """Does the instructions of one file and counts what it did."""

    def __init__(self, environ: Environ, *, now: int, show: bool, only_forward: bool) -> None:
        self._environ = environ
        self._now = now
        self._show = show
        self._only_forward = only_forward
        self._files = 0
        self._programs = 0
        self._forwards: list[bytes] = []

    def run(self, steps: list[Instruction]) -> bytes:
        """The report, once everything is done: did FILES+FORWARDS+PROGRAMS, and the pid that queued the forwards."""
        for step in steps:
            if self._step(step) == ENOUGH:
                break
        report = b"did %d+%d+%d\n" % (self._files, len(self._forwards), self._programs)
        if self._forwards and not self._show:
            report += b"qp %d\n" % self._forward()
        return report

    def _step(self, step: Instruction) -> int:
        """Do one instruction; the program's exit code, or 0."""
        if step.kind == ONLY_FORWARD:
            self._only_forward = True
            return 0
        self._check_allowed(step.kind)
        if step.kind == FORWARD:
            self._forwards.append(step.value)
        elif step.kind == PROGRAM:
            self._programs += 1
        else:
            self._files += 1
        if self._show:
            write_all(REPORT, step.kind.encode() + b" " + step.value + b"\n")
            return 0
        if step.kind == PROGRAM:
            return self._program(step.value)
        if step.kind == MAILDIR:
            rewind(MESSAGE)
            maildir.deliver(step.value, self._head(b"RPLINE", b"DTLINE"), MESSAGE, now=self._now)
        elif step.kind == MBOX:
            rewind(MESSAGE)
            mbox.deliver(step.value, self._head(b"UFLINE", b"RPLINE", b"DTLINE"), MESSAGE)
        return 0

    def _check_allowed(self, kind: str) -> None:
        if self._only_forward and kind != FORWARD:
            what = "prog" if kind == PROGRAM else "file"
            raise DeliveryError(f"Uh-oh: .qmail has {what} delivery but has x bit set. (#4.7.0)")

    def _head(self, *names: bytes) -> bytes:
        return b"".join(self._environ[name] for name in names)

    def _program(self, command: bytes) -> int:
        """Run a shell command on the message; 0 or 99. What it says on 1 and 2 goes into the report by itself."""
        rewind(MESSAGE)
        try:
            pid = spawn(b"/bin/sh", [b"/bin/sh", b"-c", command], self._environ)
        except OSError as error:
            raise DeliveryError(f"Unable to run /bin/sh: {reason(error)}. (#4.3.0)") from error
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            raise DeliveryError("Aack, child crashed. (#4.3.0)")
        code = os.WEXITSTATUS(status)
        if code in BOUNCE:
            raise permanent("")
        if code not in (0, ENOUGH):
            raise DeliveryError("")
        return code

    def _forward(self) -> int:
        """Queue one copy for all the forward lines; the pid that goes into the log."""
        rewind(MESSAGE)
        environ = self._environ
        return forward(environ, environ[b"DTLINE"], MESSAGE, environ[b"NEWSENDER"], self._forwards)


def _variables(recipient: Recipient, now: int) -> Environ:
    """What qmail-command(8) promises to a program, but for DEFAULT and NEWSENDER."""
    address = recipient.local + b"@" + recipient.host
    sender = recipient.sender or b"MAILER-DAEMON"
    return {
        b"HOST": recipient.host,
        b"HOME": recipient.home,
        b"USER": recipient.user,
        b"LOCAL": recipient.local,
        b"RECIPIENT": address,
        b"SENDER": recipient.sender,
        # A newline in an address must not begin another header line.
        b"DTLINE": (b"Delivered-To: " + address).replace(b"\n", b"_") + b"\n",
        b"RPLINE": (b"Return-Path: <" + quote(recipient.sender)).replace(b"\n", b"_") + b">\n",
        b"UFLINE": b"From " + sender.translate(DASHED) + b" " + dates.mbox(now) + b"\n",
        **dict(zip((b"EXT", b"EXT2", b"EXT3", b"EXT4"), _tails(recipient.ext), strict=True)),
        **dict(zip((b"HOST2", b"HOST3", b"HOST4"), _heads(recipient.host), strict=True)),
    }


DASHED = bytes.maketrans(b" \t\n", b"---")


def _tails(extension: bytes) -> Iterator[bytes]:
    """The extension, then what is after its first, second and third dash."""
    for _ in range(4):
        yield extension
        extension = extension.partition(b"-")[2]


def _heads(host: bytes) -> Iterator[bytes]:
    """The host without its last, last two and last three labels; one without a dot stays as it is."""
    for _ in range(3):
        host = host.rpartition(b".")[0] if b"." in host else host
        yield host
