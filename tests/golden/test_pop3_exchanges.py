"""Every POP3 exchange recorded from qmail comes out the same from our qmail-popup, checkpassword and qmail-pop3d."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from svtree.mail.accounts import Account
from tests.golden import exchange
from tests.golden.conftest import Post

FIRST = "pop3-basic"


def fill(user: Account) -> None:
    """Put into the Maildir the twelve messages that the exchanges speak of: names, sizes, order, the first's text."""
    said = b"".join(data for kind, data in exchange.read(FIRST).steps if kind == "S").split(b"\r\n")
    sizes, names = (_listing(said, at) for at in (0, 1))
    start = said.index(b"Return-Path: <mondo@ahs.scitec.kobe-u.ac.jp>")
    # In the third answer of that kind, RETR's, the text ends before the empty line that comes before the dot.
    start = [at for at, line in enumerate(said) if line == said[start]][2]
    text = b"\n".join(said[start : said.index(b".", start) - 1]) + b"\n"
    assert len(text) == int(sizes[0])
    for index, (size, name) in enumerate(zip(sizes, names, strict=True)):
        path = Path(os.fsdecode(user.home), "Maildir", "new", name.decode())
        path.write_bytes(text if index == 0 else b"x".ljust(int(size), b"\n"))
        os.chown(path, user.uid, user.gid)
        written = int(name.split(b".")[0])
        os.utime(path, (written, written))


def _listing(said: list[bytes], number: int) -> list[bytes]:
    """The second words of the lines of the nth listing."""
    starts = [at + 1 for at, line in enumerate(said) if line == b"+OK " and said[at + 1].startswith(b"1 ")]
    start = starts[number]
    return [line.split(b" ")[1] for line in said[start : said.index(b".", start)]]


def present(user: Account) -> int:
    return sum(len(os.listdir(user.home + b"/Maildir/" + each)) for each in (b"new", b"cur"))


@pytest.mark.parametrize("name", exchange.names("pop3-"))
def test_the_exchange_is_as_recorded(name: str, post: Post) -> None:
    fill(post.user)
    recorded = exchange.read(name)
    assert exchange.replay(recorded, post.pop3()) == exchange.expected(recorded)
    # "pop3-after-eof" alone deletes a message and says QUIT.
    assert present(post.user) == (11 if name == "pop3-after-eof" else 12)


def test_after_quit_what_was_new_is_old_and_its_unique_name_is_the_same(post: Post) -> None:
    fill(post.user)
    port = post.pop3()
    recorded = exchange.read(FIRST)
    exchange.replay(recorded, port)
    names = os.listdir(post.user.home + b"/Maildir/cur")
    assert len(names) == 12
    assert all(name.endswith(b":2,") for name in names)
    assert exchange.replay(recorded, port) == exchange.expected(recorded)
