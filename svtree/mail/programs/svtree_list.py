"""svtree-list: keep the members of a mailing list, from .qmail files and by hand."""

from __future__ import annotations

import os
import time

from svtree.mail.lists import answers, cookies, correspondence, failures, members
from svtree.mail.lists.cookies import Proof
from svtree.mail.lists.members import List, ListError
from svtree.program import PERMANENT, Fatal, UsageError, number
from svtree.system.errors import reason
from svtree.system.signals import ignore_broken_pipes
from svtree.system.streams import read_all, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from svtree.program import Environ

USAGE = (
    "svtree-list: usage: svtree-list make dir .qmail-list local host owner\n"
    "       svtree-list { add | remove } dir address ... | show dir\n"
    "       svtree-list { check | post | help | subscribe | unsubscribe | confirm | probe | bounce [ days ] } dir\n"
    "           (from .qmail files)"
)
# What is answered to whoever asks, unless a program did; with what is to be proven for it.
ANSWERED = {b"help": b"", b"subscribe": cookies.SUBSCRIBE, b"unsubscribe": cookies.UNSUBSCRIBE}
# So many days with a bounce, and a member is probed.
DAYS = 3


def main(argv: Sequence[bytes], environ: Environ) -> int:
    """Do what argv[1] says."""
    ignore_broken_pipes()
    if len(argv) < 3:
        raise UsageError(USAGE)
    action, words = argv[1], argv[2:]
    try:
        if action == b"make":
            return _make(words)
        days = DAYS
        if action == b"bounce" and len(words) == 2:
            days, words = number(words[0]) or DAYS, words[1:]
        chosen = members.opened(words[0])
        if action in (b"add", b"remove") and len(words) > 1:
            return _by_hand(chosen, action, words[1:])
        if len(words) != 1:
            raise UsageError(USAGE)
        if action == b"show":
            write_all(1, b"".join(address + b"\n" for address in members.members(chosen)))
            return 0
        return _from_mail(chosen, action, environ, days)
    except ListError as error:
        raise Fatal(str(error)) from error
    except FileExistsError as error:
        raise Fatal(f"unable to make {os.fsdecode(error.filename)}: it is there", PERMANENT) from error
    except OSError as error:
        raise Fatal(f"unable to keep the list: {os.fsdecode(error.filename or b'')}: {reason(error)}") from error


def _make(words: Sequence[bytes]) -> int:
    if len(words) != 5 or not words[1].startswith(b".qmail-") or b"/" in words[1]:
        raise UsageError(USAGE)
    local, host, owner = words[2:]
    if not cookies.is_address(local + b"@" + host) or not cookies.is_address(owner):
        raise Fatal("no address that can be a list's or its owner's", PERMANENT)
    if words[0].strip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"):
        # It will stand in a shell's command.
        raise Fatal("a list's directory is called by letters, digits and -_./ only", PERMANENT)
    members.make(words[0], words[1], local, host, owner)
    return 0


def _by_hand(chosen: List, action: bytes, addresses: Sequence[bytes]) -> int:
    for address in addresses:
        try:
            done = members.add(chosen, address) if action == b"add" else members.remove(chosen, address)
        except ValueError as error:
            raise Fatal(address + b": " + str(error).encode(), PERMANENT) from error
        if not done:
            write_all(
                2, b"svtree-list: warning: %s is%s on the list\n" % (address, b"" if action == b"add" else b" not")
            )
    return 0


def _from_mail(chosen: List, action: bytes, environ: Environ, days: int) -> int:
    """From a .qmail file: the message on descriptor 0, the sender in $SENDER, what the address says in $DEFAULT."""
    sender, rest = environ.get(b"SENDER"), environ.get(b"DEFAULT", b"")
    if sender is None:
        raise Fatal("SENDER not set", PERMANENT)
    now = int(time.time())
    if action == b"check":
        if sender.lower() not in {each.lower() for each in members.members(chosen)}:
            raise Fatal(b"only members may write to " + chosen.address(), PERMANENT)
    elif action == b"post":
        return correspondence.post(chosen, sender, environ)
    elif action in ANSWERED:
        _answer(chosen, action, sender, environ)
    elif action == b"confirm":
        correspondence.confirm(chosen, cookies.check(chosen.secret, rest, now), environ, now)
    elif action == b"probe":
        proof = cookies.check(chosen.secret, rest, now)
        if proof is not None and proof.purpose == cookies.PROBE and members.remove(chosen, proof.address):
            write_all(1, b"svtree-list: took off %s\n" % proof.address)
    elif action == b"bounce":
        for address in _came_back(rest):
            correspondence.bounced(chosen, address, environ, (now, days))
    else:
        raise UsageError(USAGE)
    return 0


def _answer(chosen: List, action: bytes, sender: bytes, environ: Environ) -> None:
    if answers.is_automatic(sender, correspondence.header()[0]) or not cookies.is_address(sender):
        return
    now = int(time.time())
    if action == b"help":
        correspondence.explain(chosen, sender, environ, now)
    else:
        correspondence.ask(chosen, Proof(ANSWERED[action], sender), environ, now)


def _came_back(rest: bytes) -> list[bytes]:
    """The member whose copy came back; of a bounce for several copies, those that it names."""
    if rest:
        address = cookies.decoded(rest)
        return [] if address is None else [address]
    return failures.failed(read_all(0, failures.LIMIT))
