"""Another qmail's programs in the place of ours: first on a service's PATH they are what the same run scripts run."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import BIN, DEADLINE, until
from tests.tree.conftest import HOST, Tree

pytestmark = pytest.mark.slow
STRANGER = "127.0.0.3"
# Each says who it is, what it was given and what it is asked.
PROGRAMS = {
    "qmail-smtpd": 'echo "220 foreign $# $TCPREMOTEIP $PROTO ${RELAYCLIENT-no relay}"; read -r line; echo "221 $line"',
    "qmail-popup": 'echo "+OK foreign $*"; read -r line; exec "$2" "$line"',
    "checkpassword": 'echo "+OK checked $*"',
    "qmail-start": 'echo "foreign start $*"; exec sleep 1000',
}


@pytest.fixture
def theirs(quiet_tree: Tree) -> Iterator[Tree]:
    """A tree that runs, made for our programs, with theirs before ours."""
    foreign = quiet_tree.directory.parent / "foreign"
    foreign.mkdir()
    for name, script in PROGRAMS.items():
        (foreign / name).write_text(f"#!/bin/sh\n{script}\n")
        (foreign / name).chmod(0o755)
    for service in ("smtpd", "pop3d", "qmail-send"):
        quiet_tree.write(f"{service}/env/PATH", f"{foreign}:{BIN}:/usr/bin:/bin\n")
    quiet_tree.write("smtpd/tcp.smtp", '127.0.0.1:allow,RELAYCLIENT=""\n:allow\n')
    quiet_tree.up()
    yield quiet_tree
    assert quiet_tree.down() == 0


def said(tree: Tree, port: int, address: str = "127.0.0.1", word: bytes = b"hello") -> list[str]:
    """All that a server answers to one line."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), DEADLINE, source_address=(address, 0))) as it:
        it.sendall(word + b"\n")
        with it.makefile("rb") as lines:
            return [line.decode().rstrip() for line in lines]


def test_they_are_run_under_our_tcpserver_rules_and_logs(theirs: Tree) -> None:
    port = theirs.smtp_port
    until(lambda: said(theirs, port, STRANGER)[0].endswith("no relay"), what="the rules are compiled")
    assert said(theirs, port) == ["220 foreign 0 127.0.0.1 TCP", "221 hello"]
    assert said(theirs, port, STRANGER) == [f"220 foreign 0 {STRANGER} TCP no relay", "221 hello"]
    chain = f"{HOST} checkpassword relay-ctrl-allow qmail-pop3d Maildir"
    assert said(theirs, theirs.pop3_port) == [f"+OK foreign {chain}", "+OK checked hello"]
    until(lambda: "foreign start ./Maildir/" in theirs.logs())
    until(lambda: re.search(r"smtpd: \S+ tcpserver: ok \d+ ", theirs.logs()))
    # The rules are watched as before.
    theirs.write("smtpd/tcp.smtp", f"{STRANGER}:deny\n:allow\n")
    until(lambda: denied(theirs, port))
    assert said(theirs, port)[0] == "220 foreign 0 127.0.0.1 TCP no relay"


def denied(tree: Tree, port: int) -> bool:
    try:
        return said(tree, port, STRANGER) == []
    except ConnectionError:
        return True


def test_without_them_ours_are_back(theirs: Tree) -> None:
    foreign = Path(theirs.directory.parent / "foreign")
    for name in PROGRAMS:
        (foreign / name).unlink()
    for service in ("smtpd", "pop3d", "qmail-send"):
        assert theirs.svc("-t", service).code == 0
    until(lambda: theirs.greeting().startswith(b"220 mail.example.com ESMTP") and theirs.fine())
    theirs.send("Subject: by ours again\n\nx\n")
    theirs.received("by ours again")
