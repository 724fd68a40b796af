from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svtree.mail.pop3 import session as pop3
from svtree.mail.pop3 import table
from svtree.mail.pop3.session import Authorization, Check, End, Message, Open, Reply, Send, Transaction, Update

if TYPE_CHECKING:
    from svtree.mail.pop3.session import Action

PAGE = Path(__file__).parents[3] / "docs" / "pop3-session.md"
MESSAGES = (Message(280, b"1.a.host"), Message(20, b"2.b.host"), Message(3, b"NUMBER SIZE COUNT"))


class Driver:
    """A mailbox whose second message has gone away; sending one says which and how much of it."""

    def __init__(self, messages: tuple[Message, ...] = MESSAGES, not_removed: int = 0) -> None:
        self.session = Transaction(messages)
        self.not_removed = not_removed
        self.said = b""
        self.over = False
        self.removed: tuple[int, ...] | None = None
        self._index = -1
        self.perform(self.session.greet())

    def feed(self, data: bytes) -> None:
        self.perform(self.session.receive(data))

    def perform(self, actions: list[Action]) -> None:
        while actions:
            more: list[Action] = []
            for action in actions:
                assert not self.over, "an action after the end"
                assert not more, "an action after one that waits"
                match action:
                    case Reply(data):
                        self.said += data
                    case Open(index):
                        self._index = index
                        more = self.session.not_opened() if index == 1 else self.session.opened()
                    case Send(lines):
                        self.said += b"(%d: %s)\r\n" % (self._index, str(lines).encode())
                    case Update(deleted):
                        self.removed = deleted
                        more = self.session.updated(self.not_removed)
                    case End():
                        self.over = True
                    case _:
                        pytest.fail(f"not an action of this machine: {action}")
            actions = more


def replies(data: bytes) -> list[bytes]:
    """The server's lines after the greeting, without their ends."""
    driver = Driver()
    driver.feed(data)
    return driver.said.split(b"\r\n")[1:-1]


def test_the_page_shows_the_tables() -> None:
    assert PAGE.read_text() == table.render(), "make it again: docs/pop3-session.md is pop3.table.render()"


def test_every_step_in_the_table_is_described_and_every_description_is_used() -> None:
    used = {step for row in table.TABLE.values() for step in row.values()} | {*table.OTHERWISE.values(), table.TROUBLE}
    assert used == set(table.STEPS)
    assert set(table.OTHERWISE) == set(table.TABLE)


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (b"STAT\r\n", [b"+OK 3 303"]),
        (b"stat ignored\n", [b"+OK 3 303"]),
        (b"LIST\r\n", [b"+OK ", b"1 280", b"2 20", b"3 3", b"."]),
        (b"UIDL\r\n", [b"+OK ", b"1 1.a.host", b"2 2.b.host", b"3 NUMBER SIZE COUNT", b"."]),
        (b"LIST 2\r\n", [b"+OK 2 20"]),
        (b"UIDL 3\r\n", [b"+OK 3 NUMBER SIZE COUNT"]),
        (b"LIST 2 3\r\n", [b"+OK 2 20"]),
        (b"LIST 2x\r\n", [b"+OK 2 20"]),
        (b"LIST 0002\r\n", [b"+OK 2 20"]),
        (b"LIST x\r\n", [b"-ERR syntax error"]),
        (b"LIST -1\r\n", [b"-ERR syntax error"]),
        (b"LIST 0\r\n", [b"-ERR messages are counted from 1"]),
        (b"LIST 4\r\n", [b"-ERR not that many messages"]),
        (b"LIST 18446744073709551617\r\n", [b"-ERR not that many messages"]),
        (b"LIST " + b"9" * 8000 + b"\r\n", [b"-ERR not that many messages"]),
        (b"RETR 1\r\n", [b"+OK ", b"(0: None)"]),
        (b"RETR 1 5\r\n", [b"+OK ", b"(0: 5)"]),
        (b"TOP 3 0\r\n", [b"+OK ", b"(2: 0)"]),
        (b"TOP 3\r\n", [b"+OK ", b"(2: None)"]),
        (b"TOP 1  7x\r\n", [b"+OK ", b"(0: 7)"]),
        (b"RETR 2\r\nNOOP\r\n", [b"-ERR unable to open that message", b"+OK "]),
        (b"RETR\r\n", [b"-ERR syntax error"]),
        (b"DELE 1\r\nSTAT\r\n", [b"+OK ", b"+OK 3 23"]),
        (b"DELE 1\r\nDELE 1\r\n", [b"+OK ", b"-ERR already deleted"]),
        (b"DELE 1\r\nRETR 1\r\n", [b"+OK ", b"-ERR already deleted"]),
        (b"DELE 1\r\nLIST\r\n", [b"+OK ", b"+OK ", b"2 20", b"3 3", b"."]),
        (b"DELE 2\r\nDELE 1\r\nLAST\r\n", [b"+OK ", b"+OK ", b"+OK 2"]),
        (b"DELE 2\r\nRSET\r\nLAST\r\nSTAT\r\n", [b"+OK ", b"+OK ", b"+OK 0", b"+OK 3 303"]),
        (b"LAST\r\n", [b"+OK 0"]),
        (b"CAPA\r\n", [b"-ERR unimplemented"]),
        (b"\r\n", [b"-ERR unimplemented"]),
        (b"USER x\r\n", [b"-ERR unimplemented"]),
        (b"QUIT\r\nNOOP\r\n", [b"+OK "]),
    ],
)
def test_commands_are_answered_as_qmail_pop3d_answers_them(said: bytes, answers: list[bytes]) -> None:
    assert replies(said) == answers


def test_only_quit_removes_and_tells_what_could_not_be_removed() -> None:
    driver = Driver()
    driver.feed(b"DELE 3\r\nDELE 1\r\n")
    before = driver.removed
    assert before is None
    driver.feed(b"QUIT\r\n")
    assert driver.removed == (0, 2)
    assert driver.over
    driver = Driver(not_removed=2)
    driver.feed(b"QUIT\r\n")
    assert driver.said.endswith(b"-ERR unable to unlink all deleted messages\r\n" * 2 + b"+OK \r\n")


def test_an_empty_mailbox() -> None:
    driver = Driver(())
    driver.feed(b"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nQUIT\r\n")
    assert driver.said == b"+OK \r\n+OK 0 0\r\n+OK \r\n.\r\n+OK \r\n.\r\n-ERR not that many messages\r\n+OK \r\n"


def test_a_line_that_never_ends_ends_the_session() -> None:
    driver = Driver()
    driver.feed(b"x" * (pop3.LONGEST_LINE + 1))
    assert (driver.said, driver.over) == (b"+OK \r\n-ERR out of memory\r\n", True)


def authorize(data: bytes, timestamp: bytes = b"<1.2@host>") -> list[Action]:
    session = Authorization(timestamp)
    return session.greet() + session.receive(data)


def test_a_login_is_asked_for_and_checked_once() -> None:
    session = Authorization(b"<1.2@host>")
    assert session.greet() == [Reply(b"+OK <1.2@host>\r\n")]
    assert session.receive(b"USER jiro\r\nPASS ses ame\r\nSTAT\r\n") == [Reply(b"+OK \r\n"), Check(b"jiro", b"ses ame")]
    assert session.checked("served") == [End()]


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        ("refused", b"-ERR authorization failed\r\n"),
        ("crashed", b"-ERR aack, child crashed\r\n"),
        ("no pipe", b"-ERR unable to open pipe\r\n"),
        ("no process", b"-ERR unable to fork\r\n"),
        ("not read", b"-ERR unable to write pipe\r\n"),
    ],
)
def test_a_login_that_fails_is_told_and_ends_the_session(outcome: str, answer: bytes) -> None:
    session = Authorization(b"<1.2@host>")
    session.receive(b"USER jiro\r\nPASS x\r\n")
    assert session.checked(outcome) == [Reply(answer), End()]


def test_apop_is_a_login_where_there_is_a_timestamp() -> None:
    assert authorize(b"APOP jiro 0123  45\r\n")[-1] == Check(b"jiro", b"0123  45")
    assert authorize(b"APOP jiro\r\n")[-1] == Reply(b"-ERR syntax error\r\n")
    assert authorize(b"APOP jiro 0123\r\n", b"") == [Reply(b"+OK \r\n"), Reply(b"-ERR authorization first\r\n")]


def test_quit_before_a_login_is_polite() -> None:
    assert authorize(b"USER x\r\nQUIT\r\nPASS y\r\n")[2:] == [Reply(b"+OK \r\n"), End()]


WORDS = st.sampled_from(
    [b"LIST", b"UIDL ", b"RETR 1", b"RETR 2", b"TOP 3 ", b"DELE 1", b"DELE ", b"STAT", b"RSET", b"LAST", b"QUIT"]
)
TALK = st.lists(st.one_of(WORDS, st.sampled_from([b"\r\n", b"\n", b" ", b"7"]), st.binary(max_size=9)), max_size=30)


@settings(deadline=None)
@given(data=TALK.map(b"".join), cuts=st.lists(st.integers(0, 200), max_size=10))
def test_whatever_comes_in_whatever_pieces_the_session_is_the_same(data: bytes, cuts: list[int]) -> None:
    whole, pieces, bytewise = Driver(), Driver(), Driver()
    whole.feed(data)
    for start, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]):
        pieces.feed(data[start:end])
    for each in data:
        bytewise.feed(bytes([each]))
    seen = (whole.said, whole.removed, whole.over)
    assert (pieces.said, pieces.removed, pieces.over) == seen
    assert (bytewise.said, bytewise.removed, bytewise.over) == seen


LOGIN = st.sampled_from(
    [b"USER jiro\r\n", b"USER", b"PASS", b" x", b"\r\n", b"\n", b"APOP a b\r\n", b"QUIT\r\n", b"\0"]
)


@settings(deadline=None)
@given(data=st.lists(st.one_of(LOGIN, st.binary(max_size=9)), max_size=20).map(b"".join))
def test_whatever_comes_before_the_login_is_answered(data: bytes) -> None:
    actions = authorize(data)
    assert all(isinstance(action, Reply | Check | End) for action in actions)
    session = Authorization(b"<1.2@host>")
    bytewise = [action for each in data for action in session.receive(bytes([each]))]
    assert session.greet() + bytewise == actions
