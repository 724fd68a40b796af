"""svtree-list: its cookies, its files, its exit codes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail.lists import answers, cookies, failures, fields, members
from svtree.mail.lists.cookies import Proof
from tests.harness import DEADLINE, Processes, environment, ours, run, until
from tests.mail.queue.post import HOST, Post

NOW = 1_795_000_000
SECRET = b"secret"
purposes = st.sampled_from([cookies.SUBSCRIBE, cookies.UNSUBSCRIBE, cookies.PROBE])
user_letters = "abcXYZ019.+-_='*/"
addresses = st.builds(
    lambda user, host: f"{user}@{host}".encode(),
    st.text(user_letters, min_size=1, max_size=20),
    st.from_regex(r"[a-z0-9]{1,8}(\.[a-z]{1,5}){0,2}", fullmatch=True),
)


@given(purposes, addresses, st.integers(0, cookies.LIFE))
def test_what_was_made_is_proof_for_a_week_whatever_becomes_of_the_case(
    purpose: bytes, address: bytes, age: int
) -> None:
    made = cookies.make(SECRET, Proof(purpose, address), NOW)
    assert cookies.check(SECRET, made, NOW + age) == Proof(purpose, address)
    shouted = cookies.check(SECRET, made.upper(), NOW + age)
    assert shouted is not None
    assert (shouted.purpose, shouted.address.lower()) == (purpose, address.lower())
    assert cookies.check(SECRET, made, NOW + cookies.LIFE + 1) is None
    assert cookies.check(SECRET, made, NOW - cookies.AHEAD - 1) is None
    assert cookies.check(b"another", made, NOW) is None


@given(purposes, addresses, st.data())
def test_what_was_changed_is_no_proof(purpose: bytes, address: bytes, data: st.DataObject) -> None:
    made = bytearray(cookies.make(SECRET, Proof(purpose, address), NOW))
    place = data.draw(st.integers(0, len(made) - 1))
    made[place] = data.draw(st.integers(33, 126).filter(lambda byte: chr(byte).lower() != chr(made[place]).lower()))
    assert cookies.check(SECRET, bytes(made), NOW) is None


@given(st.binary(max_size=80))
def test_whatever_comes_is_answered_without_an_error(text: bytes) -> None:
    assert cookies.check(SECRET, text, NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"@",
        b"a",
        b"a@",
        b"@b",
        b"a b@c",
        b"a\n&x@y",
        b"a@b\n|rm",
        b"a@b@c",
        b'"a"@b',
        b"a@.b",
        b"a@b/c",
        b"\xe4@b",
    ],
)
def test_what_could_do_harm_in_a_dot_qmail_file_is_no_address(text: bytes) -> None:
    assert not cookies.is_address(text)


BOUNCE = b"""From: MAILER-DAEMON@b.example
Subject: failure notice

Hi. This is the qmail-send program at b.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<a@b.example>:
Sorry, no mailbox here by that name. (#5.1.1)

<c@d.example>:
192.0.2.1 said:
<not@this.one>: no

--- Below this line is a copy of the message.

<nor@this>:
x
"""


def test_a_bounce_names_whom_it_is_about() -> None:
    assert failures.failed(BOUNCE) == [b"a@b.example", b"c@d.example"]
    assert failures.failed(BOUNCE.replace(b"Hi. This", b"Hello. This")) == []
    assert failures.failed(b"") == []


@given(st.binary(max_size=200))
def test_any_message_may_come_as_a_bounce(text: bytes) -> None:
    assert all(b"\n" not in each for each in failures.failed(b"X: y\n\nHi. This is the\n\n" + text))


@pytest.fixture
def friends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> members.List:
    (folder / "home").mkdir()
    monkeypatch.chdir(folder / "home")
    members.make(b"friends", b".qmail-friends", b"friends", b"b.example", b"owner@b.example")
    return members.opened(b"friends")


def test_members_come_and_go_and_the_other_lines_stay(friends: members.List) -> None:
    file = Path(".qmail-friends")
    file.write_text("|svtree-list check friends\n# friends\n&A@b.example \n./archive/\n")
    assert members.members(friends) == [b"A@b.example"]
    assert not members.add(friends, b"a@B.example")
    assert members.add(friends, b"c@d.example")
    assert members.remove(friends, b"a@b.EXAMPLE")
    assert not members.remove(friends, b"a@b.example")
    assert file.read_text() == "|svtree-list check friends\n# friends\n./archive/\n&c@d.example\n"
    assert file.stat().st_mode & 0o777 == 0o644
    with pytest.raises(ValueError, match="no address"):
        members.add(friends, b"x@y\n|rm")


def test_an_address_is_asked_once_an_hour(friends: members.List) -> None:
    assert members.may_ask(friends, b"s", b"a@b", NOW)
    assert not members.may_ask(friends, b"s", b"A@b", NOW + 3599)
    assert members.may_ask(friends, b"u", b"a@b", NOW)
    assert members.may_ask(friends, b"s", b"a@b", NOW + 3600)
    # What is over is not kept.
    assert members.may_ask(friends, b"s", b"c@d", NOW + 99999)
    assert len(list(Path("friends/asked").iterdir())) == 1


def test_bounces_count_once_a_day_and_are_forgotten_in_a_month(friends: members.List) -> None:
    days = [members.bounced(friends, b"a@b", NOW + hours * 3600) for hours in (0, 1, 24, 25, 48)]
    assert days == [1, 1, 2, 2, 3]
    assert members.bounced(friends, b"a@b", NOW + 48 * 3600 + members.FORGOTTEN + 1) == 1
    members.add(friends, b"a@b")
    members.remove(friends, b"a@b")
    assert members.bounced(friends, b"a@b", NOW + 49 * 3600) == 1


def test_a_list_is_not_made_where_something_is(friends: members.List) -> None:
    words = ["friends", ".qmail-friends", "friends", "b.example", "o@b.example"]
    done = run([ours("svtree-list"), "make", *words])
    assert (done.code, done.err) == (100, b"svtree-list: fatal: unable to make friends: it is there\n")


@pytest.mark.parametrize(
    ("sender", "field", "automatic"),
    [
        (b"a@b", b"Subject: x\n", False),
        (b"", b"Subject: x\n", True),
        (b"#@[]", b"Subject: x\n", True),
        (b"MAILER-DAEMON@b", b"Subject: x\n", True),
        (b"a@b", b"Precedence: Bulk\n", True),
        (b"a@b", b"Auto-Submitted: no\n", False),
        (b"a@b", b"Auto-Submitted: auto-replied; x\n", True),
        (b"a@b", b"List-Id: <x>\n", True),
    ],
)
def test_what_a_program_sent_is_not_answered(sender: bytes, field: bytes, automatic: bool) -> None:
    assert answers.is_automatic(sender, [field]) is automatic


def told(
    post: Post, home: Path, action: str, more: dict[str, str], message: bytes = b"Subject: x\n\n"
) -> tuple[int, str]:
    done = subprocess.run(
        [ours("svtree-list"), action, "friends"],
        input=message,
        cwd=home,
        env=environment({**post.env(), **more}),
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.fixture
def home(folder: Path, processes: Processes) -> tuple[Post, Path]:
    post = Post(folder, processes)
    place = folder / "home"
    place.mkdir()
    words = ["friends", ".qmail-friends", "friends", HOST, f"owner@{HOST}"]
    assert run([ours("svtree-list"), "make", *words], cwd=place).code == 0
    return post, place


def test_a_forged_confirmation_and_a_strangers_post_bounce(home: tuple[Post, Path]) -> None:
    post, place = home
    forged = cookies.make(b"guessed", Proof(b"s", b"a@b"), NOW).decode()
    code, said = told(post, place, "confirm", {"SENDER": "a@b", "DEFAULT": forged})
    assert (code, "this confirmation is none" in said) == (100, True)
    code, said = told(post, place, "check", {"SENDER": "a@b"})
    assert (code, said) == (100, f"svtree-list: fatal: only members may write to friends@{HOST}\n")
    assert run([ours("svtree-list"), "add", "friends", "A@b"], cwd=place).code == 0
    assert told(post, place, "check", {"SENDER": "a@b"}) == (0, "")
    assert run([ours("svtree-list"), "show", "friends"], cwd=place).out == b"A@b\n"


def test_a_made_up_bounce_takes_nobody_off_but_asks_him(home: tuple[Post, Path]) -> None:
    post, place = home
    assert run([ours("svtree-list"), "add", "friends", f"jiro@{HOST}"], cwd=place).code == 0
    (place / "friends" / "bounces").chmod(0o700)
    for _ in range(5):
        assert told(post, place, "bounce", {"SENDER": "", "DEFAULT": f"jiro={HOST}"})[0] == 0
        assert told(post, place, "bounce", {"SENDER": "", "DEFAULT": "stranger=elsewhere"})[0] == 0
    assert run([ours("svtree-list"), "show", "friends"], cwd=place).out == f"jiro@{HOST}\n".encode()
    # All on one day: not even asked yet.
    assert not post.files("todo")
    assert len(list((place / "friends" / "bounces").iterdir())) == 1


def test_a_request_from_nobody_is_passed_over_and_one_from_somebody_asked_once(home: tuple[Post, Path]) -> None:
    post, place = home
    assert told(post, place, "subscribe", {"SENDER": ""}) == (0, "")
    assert told(post, place, "subscribe", {"SENDER": "a@b"}, b"Precedence: bulk\n\n") == (0, "")
    assert not post.files("todo")
    assert told(post, place, "subscribe", {"SENDER": "a@b"}) == (0, "")
    assert told(post, place, "subscribe", {"SENDER": "a@b"}) == (0, "svtree-list: asked already: a@b\n")
    (queued,) = until(lambda: post.files("todo"))
    assert (post.home / "queue" / queued).read_bytes().endswith(b"\0F\0Ta@b\0")


@pytest.mark.parametrize(
    ("words", "code"), [([], 100), (["show"], 100), (["dance", "friends"], 111), (["make", "a", "b"], 100)]
)
def test_bad_words(words: list[str], code: int, folder: Path) -> None:
    done = run([ours("svtree-list"), *words], cwd=folder)
    assert done.code == code
    assert done.err.startswith(b"svtree-list: ")


def test_what_a_list_says_of_itself() -> None:
    assert fields.about(b"jiro-friends", b"b.example") == (
        b"Mailing-List: contact jiro-friends-help@b.example; run by svtree-list\n"
        b"Precedence: bulk\n"
        b"List-Id: <jiro-friends.b.example>\n"
        b"List-Help: <mailto:jiro-friends-help@b.example>\n"
        b"List-Post: <mailto:jiro-friends@b.example>\n"
        b"List-Subscribe: <mailto:jiro-friends-subscribe@b.example>\n"
        b"List-Unsubscribe: <mailto:jiro-friends-unsubscribe@b.example>\n"
        b"List-Owner: <mailto:jiro-friends-owner@b.example>\n"
    )
    assert b"List-Post: <mailto:a%2Fb%2Bc%3Dd@e>\n" in fields.about(b"a/b+c=d", b"e")


def test_what_another_list_said_is_left_out_but_for_its_archive() -> None:
    own = [b"Subject: x\n y\n", b"LIST-ID:\n <z>\n", b"List-Archive: <z>\n", b"Precedence : list\n", b"Received: z\n"]
    assert fields.kept(own) == b"Subject: x\n y\nList-Archive: <z>\nReceived: z\n"


def test_a_post_goes_to_all_members_with_one_sender_for_each(home: tuple[Post, Path]) -> None:
    post, place = home
    line = {"SENDER": "c@d", "DTLINE": f"Delivered-To: friends@{HOST}\n"}
    assert told(post, place, "post", line) == (99, "")
    assert not post.files("todo")
    assert run([ours("svtree-list"), "add", "friends", "a@b", "e@f"], cwd=place).code == 0
    body = b"x" * 300_000 + b"\n"
    code, said = told(post, place, "post", line, b"Subject: hello\nPrecedence: list\n\n" + body)
    assert (code, said[:16]) == (99, "svtree-list: qp ")
    (queued,) = until(lambda: post.files("todo"))
    envelope = (post.home / "queue" / queued).read_bytes()
    assert envelope.endswith(f"\0Ffriends-owner-@{HOST}-@[]\0Ta@b\0Te@f\0".encode())
    (message,) = post.files("mess")
    text = (post.home / "queue" / message).read_bytes()
    head, _, rest = text.partition(b"\n\n")
    assert rest == body
    about = fields.about(b"friends", HOST.encode())
    assert head.endswith(f"Delivered-To: friends@{HOST}\n".encode() + about + b"Subject: hello")


def test_a_bounce_is_not_sent_to_the_members_and_no_post_without_its_line(home: tuple[Post, Path]) -> None:
    post, place = home
    assert run([ours("svtree-list"), "add", "friends", "a@b"], cwd=place).code == 0
    code, said = told(post, place, "post", {"SENDER": "", "DTLINE": "Delivered-To: x\n"})
    assert (code, said) == (100, f"svtree-list: fatal: a bounce is nothing for the members of friends@{HOST}\n")
    assert told(post, place, "post", {"SENDER": "a@b"}) == (100, "svtree-list: fatal: DTLINE not set\n")
    assert not post.files("todo")


def test_help_is_given_once_an_hour(home: tuple[Post, Path]) -> None:
    post, place = home
    for _ in range(2):
        assert told(post, place, "help", {"SENDER": "a@b"}) == (0, "")
    assert len(post.files("todo")) == 1
