"""What a list does with the mail that comes to its addresses: asks, believes an answer, finds out who is gone."""

from __future__ import annotations

import os

from svtree.mail.lists import answers, cookies, members
from svtree.mail.lists.cookies import Proof
from svtree.program import PERMANENT, Fatal
from svtree.system.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from svtree.mail.lists.members import List
    from svtree.program import Environ

WORDS = {cookies.SUBSCRIBE: b"put on", cookies.UNSUBSCRIBE: b"taken off"}


def ask(chosen: List, proof: Proof, environ: Environ, now: int) -> None:
    """Send the question that an answer to confirms, unless it was sent lately."""
    if not members.may_ask(chosen, proof.purpose, proof.address, now):
        write_all(1, b"svtree-list: asked already: %s\n" % proof.address)
        return
    back = chosen.address(b"confirm", cookies.make(chosen.secret, proof, now))
    text = answers.QUESTION % (proof.address, WORDS[proof.purpose], chosen.address())
    _send(environ, b"", proof.address, answers.message(back, proof.address, b"please confirm", text, _stamp(now)))


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
        back = chosen.address(b"owner")
        _send(environ, b"", proof.address, answers.message(back, proof.address, subject, text, _stamp(now)))


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
    back = chosen.address(b"owner")
    _send(environ, probe, address, answers.message(back, address, b"a probe", text, _stamp(now)))


def _send(environ: Environ, sender: bytes, address: bytes, text: bytes) -> None:
    from svtree.mail.queue import submit

    submission = submit.begin(environ)
    submission.write(text)
    try:
        submission.finish(sender, [address])
    except submit.SubmitError as error:
        raise Fatal(error.text[1:] or "the queue does not take the answer") from error


def _stamp(now: int) -> answers.Stamp:
    return answers.Stamp(now, os.getpid())
