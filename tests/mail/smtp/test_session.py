from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.mail import commands
from svtree.mail.smtp import envelope, table
from svtree.mail.smtp.actions import Abandon, Begin, End, Finish, Policy, Reply, Write
from svtree.mail.smtp.session import Session

if TYPE_CHECKING:
    from svtree.mail.smtp.actions import Action

PAGE = Path(__file__).parents[3] / "docs" / "smtp-session.md"
HERE = frozenset({bytes(4), bytes([127, 0, 0, 1])})


def policy(relay: bytes | None = None, databytes: int = 0, remote_host: bytes = b"unknown") -> Policy:
    """A host that takes mail for mail.example.com, and cannot tell about cannot.tell."""
    return Policy(
        greeting=b"mail.example.com",
        remote_host=remote_host,
        literal_host=b"mail.example.com",
        here=HERE,
        relay=relay,
        accepts=lambda address: None if address.endswith(b"@cannot.tell") else address.endswith(b"@mail.example.com"),
        bad_senders=frozenset({b"spam@evil.example", b"@bad.example"}),
        databytes=databytes,
    )


class Driver:
    """Performs a session's actions against a queue that takes all, or refuses with the texts it is given."""

    def __init__(self, rules: Policy, refusals: list[bytes] | None = None) -> None:
        self.session = Session(rules)
        self.refusals = refusals or []
        self.said = b""
        self.code: int | None = None
        self.begun: list[bytes | None] = []
        self.messages: list[tuple[bytes, bytes, tuple[bytes, ...]]] = []
        self.abandoned = 0
        self._text: list[bytes] = []
        self.perform(self.session.greet())

    def feed(self, data: bytes) -> None:
        self.perform(self.session.receive(data))

    def perform(self, actions: list[Action]) -> None:
        while actions:
            more: list[Action] = []
            for action in actions:
                assert self.code is None, "an action after the end"
                assert not more, "an action after one that waits"
                match action:
                    case Reply(data):
                        self.said += data
                    case Begin(helo, _):
                        self.begun.append(helo)
                        self._text = []
                        more = self.session.begun()
                    case Write(data):
                        self._text.append(data)
                    case Finish(sender, recipients):
                        if self.refusals:
                            more = self.session.refused(self.refusals.pop(0))
                        else:
                            self.messages.append((b"".join(self._text), sender, recipients))
                            more = self.session.finished(1795474732, 28320)
                    case Abandon():
                        self.abandoned += 1
                    case End(code):
                        self.code = code
            actions = more

    @property
    def seen(self) -> object:
        return self.said, self.code, self.begun, self.messages, self.abandoned, self.session.state


def talk(data: bytes, rules: Policy | None = None, refusals: list[bytes] | None = None) -> Driver:
    """A whole session in one piece."""
    driver = Driver(rules or policy(), refusals)
    driver.feed(data)
    return driver


def replies(data: bytes, rules: Policy | None = None) -> list[bytes]:
    """The server's lines after the greeting, without their ends."""
    return talk(data, rules).said.split(b"\r\n")[1:-1]


ENVELOPE = b"MAIL FROM:<a@b>\r\nRCPT TO:<jiro@mail.example.com>\r\n"


def test_the_page_shows_the_tables() -> None:
    assert PAGE.read_text() == table.render(), "make it again: docs/smtp-session.md is smtp.table.render()"


def test_every_step_in_the_table_is_described_and_every_description_is_used() -> None:
    used = {step for row in table.TABLE.values() for step in row.values()} | {
        table.UNKNOWN,
        table.DELIVERY,
        table.TROUBLE,
    }
    assert used == set(table.STEPS)
    states = {*table.TABLE, table.DATA, table.LOGIN, table.OVER, table.SAME}
    assert {state for outcomes in table.STEPS.values() for _, state in outcomes.values()} <= states


def test_a_message_is_taken() -> None:
    driver = talk(b"HELO dude\r\n" + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
    assert driver.messages == [(b"Subject: x\n\n.dot\n", b"a@b", (b"jiro@mail.example.com",))]
    assert driver.begun == [b"dude"]
    assert driver.code == 0
    assert driver.said == (
        b"220 mail.example.com ESMTP\r\n250 mail.example.com\r\n250 ok\r\n250 ok\r\n354 go ahead\r\n"
        b"250 ok 1795474732 qp 28320\r\n221 mail.example.com\r\n"
    )


@pytest.mark.parametrize(
    ("before", "verb", "reply"),
    [
        (b"", b"RCPT TO:<x@mail.example.com>", b"503 MAIL first (#5.5.1)"),
        (b"", b"DATA", b"503 MAIL first (#5.5.1)"),
        (b"MAIL FROM:<a@b>\r\n", b"DATA", b"503 RCPT first (#5.5.1)"),
        (ENVELOPE + b"RSET\r\n", b"DATA", b"503 MAIL first (#5.5.1)"),
        (ENVELOPE + b"HELO x\r\n", b"DATA", b"503 MAIL first (#5.5.1)"),
        (ENVELOPE + b"EHLO x\r\n", b"DATA", b"503 MAIL first (#5.5.1)"),
        (ENVELOPE + b"MAIL FROM:<c@d>\r\n", b"DATA", b"503 RCPT first (#5.5.1)"),
        (ENVELOPE + b"MAIL FROM:<" + b"x" * 900 + b">\r\n", b"DATA", b"354 go ahead"),
        (ENVELOPE + b"RCPT TO:<x@elsewhere.example>\r\n", b"DATA", b"354 go ahead"),
        (b"", b"FOO", b"502 unimplemented (#5.5.1)"),
        (b"", b"", b"502 unimplemented (#5.5.1)"),
        (b"", b"STARTTLS", b"502 unimplemented (#5.5.1)"),
        (b"", b"noop\0QUIT", b"250 ok"),
    ],
)
def test_what_comes_before_decides(before: bytes, verb: bytes, reply: bytes) -> None:
    assert replies(before + verb + b"\r\n")[-1] == reply


def test_a_recipient_we_do_not_take_mail_for_is_refused_unless_the_client_may_relay() -> None:
    asked = b"MAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\n"
    assert replies(asked)[-1] == b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
    assert replies(asked, policy(relay=b""))[-1] == b"250 ok"
    driver = talk(asked + b"DATA\r\n.\r\n", policy(relay=b"@relay"))
    assert driver.messages == [(b"", b"a@b", (b"x@elsewhere.example@relay",))]


def test_a_sender_in_badmailfrom_is_told_so_at_its_recipients() -> None:
    refusal = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"
    for sender in (b"spam@evil.example", b"SPAM@evil.EXAMPLE", b"x@Bad.example"):
        talked = replies(b"MAIL FROM:<" + sender + b">\r\nRCPT TO:<jiro@mail.example.com>\r\n", policy(relay=b""))
        assert talked == [b"250 ok", refusal]


def test_a_list_that_cannot_be_read_ends_the_session() -> None:
    driver = talk(b"MAIL FROM:<a@b>\r\nRCPT TO:<x@cannot.tell>\r\nNOOP\r\n")
    assert driver.said.endswith(b"250 ok\r\n421 unable to read controls (#4.3.0)\r\n")
    assert driver.code == 1


def test_the_client_s_name_is_kept_unless_the_dns_has_said_it() -> None:
    message = ENVELOPE + b"DATA\r\n.\r\n"
    host = policy(remote_host=b"Client.example")
    assert talk(message, host).begun == [None]
    assert talk(b"HELO client.EXAMPLE\r\n" + message, host).begun == [None]
    assert talk(b"HELO other\r\n" + message, host).begun == [b"other"]
    assert talk(b"EHLO\r\n" + message, host).begun == [b""]
    assert talk(b"HELO other\r\nHELO client.example\r\n" + message, host).begun == [None]


def test_an_address_literal_of_this_machine_is_its_host() -> None:
    driver = talk(b"MAIL FROM:<>\r\nRCPT TO:<jiro@[127.0.0.1]>\r\nDATA\r\n.\r\n")
    assert driver.messages == [(b"", b"", (b"jiro@mail.example.com",))]
    assert replies(b"MAIL FROM:<>\r\nRCPT TO:<jiro@[192.0.2.1]>\r\n")[-1].startswith(b"553")


def test_what_the_queue_says_is_passed_on_and_the_session_goes_on() -> None:
    message = ENVELOPE + b"DATA\r\n.\r\n"
    driver = talk(
        message + message + message + b"QUIT\r\n",
        refusals=[b"Dmail server permanently rejected message (#5.3.0)", b"Zqq write error or disk full (#4.3.0)"],
    )
    said = driver.said.split(b"\r\n")
    assert b"554 mail server permanently rejected message (#5.3.0)" in said
    assert b"451 qq write error or disk full (#4.3.0)" in said
    assert len(driver.messages) == 1


def test_when_no_message_can_be_begun_the_session_goes_on() -> None:
    session = Session(policy())
    actions = session.receive(ENVELOPE + b"DATA\r\nNOOP\r\n")
    assert actions[-1] == Begin(None, b"SMTP")
    assert session.receive(b"DATA\r\n") == []
    assert session.not_begun() == [
        Reply(b"451 qqt failure (#4.3.0)\r\n"),
        Reply(b"250 ok\r\n"),
        Reply(b"503 MAIL first (#5.5.1)\r\n"),
    ]


def test_commands_behind_the_message_wait_for_the_queue() -> None:
    session = Session(policy())
    session.receive(ENVELOPE + b"DATA\r\n.\r\nQUIT\r\n")
    actions = session.begun()
    assert actions == [Reply(b"354 go ahead\r\n"), Finish(b"a@b", (b"jiro@mail.example.com",))]
    assert session.finished(1, 2) == [
        Reply(b"250 ok 1 qp 2\r\n"),
        Reply(b"221 mail.example.com\r\n"),
        End(0),
    ]


def test_too_many_hops_and_too_many_bytes_are_told_after_the_message() -> None:
    hops = b"Received: x\r\n" * 100
    driver = talk(ENVELOPE + b"DATA\r\n" + hops + b".\r\nNOOP\r\n")
    assert driver.said.endswith(b"554 too many hops, this message is looping (#5.4.6)\r\n250 ok\r\n")
    assert (driver.messages, driver.abandoned) == ([], 1)
    driver = talk(ENVELOPE + b"DATA\r\n" + b"x" * 100 + b"\r\n.\r\nNOOP\r\n", policy(databytes=100))
    assert driver.said.endswith(b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n250 ok\r\n")
    assert (driver.messages, driver.abandoned) == ([], 1)
    assert len(talk(ENVELOPE + b"DATA\r\n" + b"x" * 99 + b"\r\n.\r\n", policy(databytes=100)).messages) == 1


def test_a_bare_newline_in_a_message_ends_the_session() -> None:
    driver = talk(ENVELOPE + b"DATA\r\nx\n.\r\nNOOP\r\n")
    assert driver.said.endswith(b"354 go ahead\r\n451 See https://cr.yp.to/docs/smtplf.html.\r\n")
    assert (driver.code, driver.messages) == (1, [])


def test_silence_and_the_end_of_file_end_the_session() -> None:
    for before in (b"", ENVELOPE, ENVELOPE + b"DATA\r\nx"):
        driver = talk(before)
        driver.perform(driver.session.timed_out())
        assert driver.said.endswith(b"451 timeout (#4.4.2)\r\n")
        assert driver.code == 1
        driver = talk(before)
        driver.perform(driver.session.closed())
        assert driver.code == 1
        assert driver.session.receive(b"NOOP\r\n") == []


def test_a_line_that_never_ends_ends_the_session() -> None:
    driver = Driver(policy())
    for _ in range(0, commands.LIMIT + 1, 4096):
        driver.feed(b"x" * 4096)
        if driver.code is not None:
            break
    assert driver.said.endswith(b"421 out of memory (#4.3.0)\r\n")
    assert driver.code == 1
    assert talk(b"HELO " + b"x" * 100000 + b"\r\n").said.endswith(b"\r\n250 mail.example.com\r\n")


def test_recipients_without_end_are_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "MOST_RECIPIENTS", 1000)
    rest = b"RCPT TO:<jiro@mail.example.com>\r\n" * 20
    driver = talk(ENVELOPE + rest + b"DATA\r\n.\r\n")
    assert b"452 sorry, that is more recipients than I take for one message (#4.5.3)\r\n" in driver.said
    assert len(driver.messages[0][2]) == 1000 // (64 + len(b"jiro@mail.example.com"))


WORDS = st.sampled_from(
    [
        b"HELO x\r\n",
        b"EHLO \r\n",
        ENVELOPE,
        b"MAIL <",
        b"RCPT TO:<x@mail.example.com>\r\n",
        b"rcpt <x@cannot.tell>\n",
        b"DATA\r\n",
        b"data\n",
        b".\r\n",
        b"\r\n.\r\n",
        b"..",
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b" ",
        b"\0",
        b"QUIT\r\n",
        b"Received: x\r\n" * 50,
        b"x" * 200,
        b'"\\<@[127.0.0.1]>',
    ]
)
TALK = st.lists(st.one_of(WORDS, st.binary(max_size=20)), max_size=30).map(b"".join)


@settings(deadline=None)
@given(data=TALK, cuts=st.lists(st.integers(0, 2000), max_size=20), relay=st.sampled_from([None, b""]))
def test_whatever_comes_in_whatever_pieces_the_session_is_the_same(
    data: bytes, cuts: list[int], relay: bytes | None
) -> None:
    rules = policy(relay, databytes=300)
    whole = talk(data, rules)
    pieces = Driver(rules)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(places):
        pieces.feed(data[start:end])
    assert pieces.seen == whole.seen


@settings(deadline=None)
@given(data=TALK)
def test_byte_by_byte_the_session_is_the_same(data: bytes) -> None:
    whole = talk(data)
    pieces = Driver(policy())
    for each in data:
        pieces.feed(bytes([each]))
    assert pieces.seen == whole.seen
