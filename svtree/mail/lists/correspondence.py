"""What a list does with the mail that comes to its addresses: sends it on, asks, believes answers, sees who is gone."""

from __future__ import annotations

import os
from itertools import chain

from svtree.formats.headers import HeaderSplitter, HeaderTooLongError
from svtree.mail.delivery.message import UnreadableError, blocks
from svtree.mail.delivery.redirection import needed
from svtree.mail.lists import answers, cookies, fields, members
from svtree.mail.lists.cookies import Proof
from svtree.program import PERMANENT, Fatal
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from svtree.mail.lists.members import List
    from svtree.program import Environ

# qmail-local's word for: done, and leave out the lines that follow.
ENOUGH = 99
WORDS = {cookies.SUBSCRIBE: b"put on", cookies.UNSUBSCRIBE: b"taken off"}


def post(chosen: List, sender: bytes, environ: Environ) -> int:
    """Send the message on descriptor 0 to all members; the exit code. Raises Fatal."""
    if sender in answers.NOBODY:
        raise Fatal(b"a bounce is nothing for the members of " + chosen.address(), PERMANENT)
    everybody = members.members(chosen)
    if everybody:
        own, rest = header()
        head = needed(environ, b"DTLINE") + fields.about(chosen.local, chosen.host) + fields.kept(own) + rest
        try:
            number = _submit(environ, members.sender(chosen), everybody, chain((head,), blocks(0)))
        except UnreadableError as error:
            raise Fatal(f"unable to read message: {error}") from error
        write_all(1, b"svtree-list: qp %d\n" % number)
    return ENOUGH


def header() -> tuple[list[bytes], bytes]:
    """The fields of the message on descriptor 0, and what has been read beyond them. Raises Fatal."""
    splitter = HeaderSplitter()
    found: list[bytes] = []
    try:
        for block in blocks(0):
            found += splitter.feed(block)
            if splitter.done:
                return found, splitter.body
    except (HeaderTooLongError, UnreadableError) as error:
        raise Fatal("unable to read message") from error
    return found + splitter.end(), splitter.body


def explain(chosen: List, address: bytes, environ: Environ, now: int) -> None:
    """Say how one gets on the list and off it, unless that was said lately."""
    if not members.may_ask(chosen, b"help", address, now):
        return
    addresses = (chosen.address(), *(chosen.address(each) for each in (b"subscribe", b"unsubscribe", b"owner")))
    _answer(chosen, address, b"how to use this list", answers.HELP % addresses, (environ, now))


def ask(chosen: List, proof: Proof, environ: Environ, now: int) -> None:
    """Send the question that an answer to confirms, unless it was sent lately."""
    if not members.may_ask(chosen, proof.purpose, proof.address, now):
        write_all(1, b"svtree-list: asked already: %s\n" % proof.address)
        return
    back = chosen.address(b"confirm", cookies.make(chosen.secret, proof, now))
    text = answers.QUESTION % (proof.address, WORDS[proof.purpose], chosen.address())
    _send(chosen, answers.message(back, proof.address, b"please confirm", text, _stamp(now)), proof.address, environ)


def confirm(chosen: List, proof: Proof | None, environ: Environ, now: int) -> None:
    """The question was answered: do it, and say so. Raises Fatal for a proof that is none."""
    if proof is None or proof.purpose not in WORDS:
        raise Fatal(b"this confirmation is none, or older than a week: ask " + chosen.address() + b" again", PERMANENT)
    if proof.purpose == cookies.SUBSCRIBE:
        done = members.add(chosen, proof.address)
        subject = b"you are on the list"
        text = answers.WELCOME % (proof.address, chosen.address(), chosen.address(b"unsubscribe"))
    else:
        done = members.remove(chosen, proof.address)
        subject, text = b"you are off the list", answers.GOODBYE % (proof.address, chosen.address())
    if done:
        _answer(chosen, proof.address, subject, text, (environ, now))


def bounced(chosen: List, address: bytes, environ: Environ, when: tuple[int, int]) -> None:
    """Mail to a member came back. Anybody can say so, so it takes nobody off; a probe that comes back does."""
    now, days = when
    known = {each.lower() for each in members.members(chosen)}
    if address.lower() not in known or members.bounced(chosen, address, now) < days:
        return
    if not members.may_ask(chosen, cookies.PROBE, address, now):
        return
    probe = chosen.address(b"probe", cookies.make(chosen.secret, Proof(cookies.PROBE, address), now))
    text = answers.PROBE % (chosen.address(), address)
    message = answers.message(chosen.address(b"owner"), address, b"a probe", text, _stamp(now))
    _send(chosen, message, address, environ, probe)


def _answer(chosen: List, address: bytes, subject: bytes, text: bytes, when: tuple[Environ, int]) -> None:
    environ, now = when
    message = answers.message(chosen.address(b"owner"), address, subject, text, _stamp(now))
    _send(chosen, message, address, environ)


def _send(chosen: List, message: bytes, address: bytes, environ: Environ, sender: bytes = b"") -> None:
    _submit(environ, sender, [address], (fields.about(chosen.local, chosen.host), message))


def _submit(environ: Environ, sender: bytes, recipients: Sequence[bytes], message: Iterable[bytes]) -> int:
    from svtree.mail.queue import submit

    submission = submit.begin(environ)
    try:
        for piece in message:
            submission.write(piece)
    except BaseException:
        submission.abandon()
        raise
    try:
        return submission.finish(sender, recipients)
    except submit.SubmitError as error:
        raise Fatal(error.text[1:] or "the queue does not take the message") from error


def _stamp(now: int) -> answers.Stamp:
    return answers.Stamp(now, os.getpid())
