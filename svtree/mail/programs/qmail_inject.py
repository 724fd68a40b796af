"""qmail-inject: complete a message and put it into the queue.

Follows qmail-inject(8), qmail-header(5). The message is on standard input.
"""

from __future__ import annotations

import os
import time

from svtree.formats.addresses import AddressError, quote
from svtree.mail.controls import ControlError, Controls, home
from svtree.mail.inject import environment
from svtree.mail.inject.failure import InjectError, unparsable
from svtree.mail.inject.header import Header
from svtree.mail.inject.message import pass_body, read_header
from svtree.program import PERMANENT, TEMPORARY, Fatal, options
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = "qmail-inject: usage: qmail-inject [ -nNaAhH ] [ -fsender ] [ recip ... ]"

# Where recipients come from: the arguments if there are any and else the header, or as told.
ARGUMENTS = "a"
EITHER = "A"
HEADER = "h"
BOTH = "H"


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Send, or with -n show, the message; exit code 0, 100 or 111."""
    found, words = options(argv, "aAhHnNf:", USAGE)
    ignore_broken_pipes()
    try:
        header = Header(environment.read(environ, Controls(home(environ))), int(time.time()), os.getpid())
        source = EITHER
        show = False
        for letter, value in found:
            if letter in "nN":
                show = letter == "n"
            elif letter == "f":
                header.sender = _sender(header, value)
            else:
                source = letter
        if source == EITHER:
            source = ARGUMENTS if words else HEADER
        recipients = [] if source == HEADER else [_recipient(header, word) for word in words]
        if show:
            _show(header)
        else:
            _send(header, recipients, environ, from_header=source != ARGUMENTS)
    except InjectError as error:
        raise Fatal(error.message, error.code) from error
    except ControlError as error:
        raise Fatal(str(error)) from error
    return 0


def _sender(header: Header, address: bytes) -> bytes:
    try:
        return header.complete(address)
    except AddressError as error:
        raise unparsable(quote(address)) from error


def _recipient(header: Header, address: bytes) -> bytes:
    try:
        return header.complete(address)
    except AddressError as error:
        raise InjectError(b"unable to parse address: " + address) from error


def _show(header: Header) -> None:
    body = read_header(0, header)
    try:
        write_all(1, header.finish(show_sender=True))
        pass_body(0, body, lambda block: write_all(1, block))
    except OSError as error:
        raise InjectError("write error", TEMPORARY) from error


def _send(header: Header, recipients: list[bytes], environ: Environ, *, from_header: bool) -> None:
    from svtree.mail.queue import submit

    body = read_header(0, header)
    complete = header.finish(show_sender=False)
    submission = submit.begin(environ)
    try:
        submission.write(complete)
        pass_body(0, body, submission.write)
        if from_header:
            recipients = recipients + header.recipients()
        submission.finish(header.sender or b"", recipients)
    except submit.SubmitError as error:
        text = error.text or submit.explain(error.code)
        raise InjectError(text[1:], PERMANENT if text.startswith("D") else TEMPORARY) from error
    except InjectError:
        submission.abandon()
        raise
