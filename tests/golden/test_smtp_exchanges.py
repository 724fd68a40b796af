"""Every SMTP exchange that was recorded from qmail comes out the same from our tcpserver and qmail-smtpd."""

from __future__ import annotations

import re

import pytest

from tests.golden import exchange
from tests.golden.conftest import HOST, Post
from tests.harness import until

# What differs from a fresh qmail directory: control files, and what is missing.
CONTROLS = {
    "smtp-badmailfrom": {"badmailfrom": "spam@evil.example\n@bad.example"},
    "smtp-databytes-552": {"databytes": "100"},
    "smtp-greeting": {"smtpgreeting": "greet.example NO UCE"},
    "smtp-timeout": {"timeoutsmtpd": "2"},
}
MISSING = {"smtp-no-control": "me", "smtp-no-rcpthosts": "rcpthosts"}
ENVIRONMENT = {"smtp-no-queue": {"QMAILQUEUE": "/nonexistent"}}


@pytest.mark.parametrize("name", [name for name in exchange.names("smtp-") if name != "smtp-no-rcpthosts"])
def test_the_exchange_is_as_recorded(name: str, post: Post) -> None:
    for control, text in CONTROLS.get(name, {}).items():
        post.control(control, text)
    if name in MISSING:
        (post.home / "control" / MISSING[name]).unlink()
    recorded = exchange.read(name)
    assert exchange.replay(recorded, post.smtp(**ENVIRONMENT.get(name, {}))) == exchange.expected(recorded)
    accepted = sum(data.count(b" qp ") for kind, data in recorded.steps if kind == "S")
    assert len(post.queued()) == accepted


@pytest.mark.parametrize("name", ["smtp-no-rcpthosts"])
def test_without_rcpthosts_nothing_is_relayed_and_the_log_says_so(name: str, post: Post) -> None:
    """The one exchange in which we differ, in one answer, and mean to: the original relays for everybody."""
    (post.home / "control" / "rcpthosts").unlink()
    recorded = exchange.read(name)
    answers = exchange.expected(recorded)
    answers[3] = ("S", [b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"])
    assert exchange.replay(recorded, post.smtp()) == answers
    said = b"qmail-smtpd: warning: %b/control/rcpthosts does not exist: relaying nothing" % bytes(post.home)
    until(lambda: post.log.read_bytes().count(said) == 1)


def test_without_rcpthosts_mail_for_local_hosts_is_still_taken(post: Post) -> None:
    (post.home / "control" / "rcpthosts").unlink()
    recorded = exchange.read("smtp-denied-553")
    assert exchange.replay(recorded, post.smtp()) == exchange.expected(recorded)


def test_the_first_exchange_leaves_the_message_with_the_recorded_header(post: Post) -> None:
    exchange.replay(exchange.read("smtp-seed000"), post.smtp())
    (message,) = post.queued()
    date = rb"\d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000\n"
    assert re.fullmatch(
        rb"Received: \(qmail \d+ invoked from network\); "
        + date
        + rb"Received: from unknown \(HELO dude\) \(127\.0\.0\.1\)\n  by 0 with SMTP; "
        + date
        + rb"Subject: testing\n\nThis is a test\.\n",
        message,
    )
    (envelope,) = [path for path in post.home.glob("queue/todo/**/*") if path.is_file()]
    assert envelope.read_bytes().endswith(b"Fmondo@ahs.scitec.kobe-u.ac.jp\0Tjiro@%b\0" % HOST.encode())


def test_dots_and_eight_bit_data_arrive_as_they_were_meant(post: Post) -> None:
    port = post.smtp()
    exchange.replay(exchange.read("smtp-full-angle"), port)
    exchange.replay(exchange.read("smtp-8bit"), port)
    bodies = {message.split(b"\nSubject: ")[1] for message in post.queued()}
    assert bodies == {b"dots\n\n.leading dot\n. two\nend\n", b"\xe6\xbc\xa2\n\n\xff\xfe\n"}


def test_exchanges_one_after_the_other_with_one_standing_worker_are_each_as_recorded(post: Post) -> None:
    port = post.smtp("--workers", "1")
    special = {*CONTROLS, *MISSING, *ENVIRONMENT}
    for name in [name for name in exchange.names("smtp-") if name not in special] * 2:
        recorded = exchange.read(name)
        assert exchange.replay(recorded, port) == exchange.expected(recorded), name
