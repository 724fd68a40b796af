"""Bounces on disk: collecting what failed in bounce/N, and sending it as a message when the rest is done.

Follows addbounce() and injectbounce() in qmail-send.c.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from svtree.formats import queuefiles
from svtree.mail.queue import bouncetext, rewriting, submit
from svtree.system.streams import BLOCK

if TYPE_CHECKING:
    from svtree.mail.queue.log import Log
    from svtree.mail.queue.store import Store
    from svtree.mail.queue.submit import Submission
    from svtree.program import Environ

# qmail-send does nothing else while it waits for qmail-queued, in seconds; it comes back in two minutes.
PATIENCE = 2.0


class Bouncing:
    """Keeps and sends the bounces of one queue."""

    def __init__(self, store: Store, environ: Environ, who: bouncetext.Postmaster, log: Log) -> None:
        """`environ` says how to reach the queue."""
        self._store = store
        self._environ = environ
        self._who = who
        self._log = log

    def add(self, number: int, recipient: bytes, report: bytes, rules: rewriting.Rules) -> bool:
        """Write down that a recipient failed; False, with an alert, if that was not possible."""
        text = bouncetext.paragraph(rewriting.without_prepend(rules, recipient), report)
        try:
            self._store.append(queuefiles.flat("bounce", number), text)
        except OSError:
            # The original sleeps here for as long as the disk is full. The recipient counts as not yet done instead.
            self._log(b"alert: unable to append to bounce message; will try again later")
            return False
        return True

    def send(self, number: int, now: int) -> bool:
        """Send what bounce/N holds, if anything; False, with a warning, if it has to be tried again."""
        name = queuefiles.flat("bounce", number)
        try:
            info = self._store.info(number)
            if info is None:
                self._log(b"warning: no sender in " + queuefiles.split("info", number))
                return False
            if self._store.status(name) is None:
                return True
        except OSError:
            self._log(b"warning: unable to stat " + name)
            return False
        notice = bouncetext.notice(self._who, rewriting.bounce_sender(info[0]), now)
        if notice is None:
            self._log(b"triple bounce: discarding " + name)
        elif not self._inject(number, name, notice):
            return False
        try:
            self._store.remove(name)
        except OSError:
            self._log(b"warning: unable to unlink " + name)
            return False
        return True

    def _inject(self, number: int, name: bytes, notice: bouncetext.Notice) -> bool:
        message = submit.begin(self._environ, b"bounce", PATIENCE)
        try:
            message.write(notice.head)
            self._copy(name, message)
            message.write(notice.middle)
            self._copy(queuefiles.split("mess", number), message)
            pid = message.finish(notice.sender, [notice.recipient])
        except (OSError, submit.SubmitError) as error:
            message.abandon()
            self._log(b"warning: trouble injecting bounce message, will try later: " + str(error).encode())
            return False
        self._log(b"bounce msg %d qp %d" % (number, pid))
        return True

    def _copy(self, name: bytes, message: Submission) -> None:
        descriptor = self._store.open(name)
        try:
            while block := os.read(descriptor, BLOCK):
                message.write(block)
        finally:
            os.close(descriptor)
