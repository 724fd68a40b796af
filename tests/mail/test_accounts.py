from __future__ import annotations

import os
import pwd
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.mail import accounts
from svtree.mail.accounts import AccountError, User

SECRET = b"{PLAIN}sesame"


@pytest.fixture
def home(folder: Path) -> bytes:
    """A qmail directory of a host called mail.example.com."""
    control = folder / "control"
    control.mkdir()
    (control / "me").write_text("mail.example.com\n")
    return bytes(folder)


def environ(home: bytes) -> dict[bytes, bytes]:
    return {b"QMAILHOME": home}


def test_a_file_is_read_in_its_order_with_comments_and_blank_lines_left_out() -> None:
    text = b"# people\n\njiro:{PLAIN}sesame:\ntaro:{PLAIN}x:box/taro\n  \nhana:{PLAIN}y\nabs:{PLAIN}y:/srv/mail/abs\n"
    assert list(accounts.parse(text, "virtual").values()) == [
        User(b"jiro", b"{PLAIN}sesame", b"home/jiro"),
        User(b"taro", b"{PLAIN}x", b"box/taro"),
        User(b"hana", b"{PLAIN}y", b"home/hana"),
        User(b"abs", b"{PLAIN}y", b"/srv/mail/abs"),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"jiro", "not NAME:SECRET:HOME"),
        (b"jiro:{PLAIN}a:b:c", "not NAME:SECRET:HOME"),
        (b":{PLAIN}a:", "1 to 64"),
        (b"x" * 65 + b":{PLAIN}a:", "1 to 64"),
        (b"Jiro:{PLAIN}a:", "a-z"),
        (b"ji/ro:{PLAIN}a:", "a-z"),
        (b".jiro:{PLAIN}a:", "begins with"),
        (b" jiro:{PLAIN}a:", "begins with"),
        (b"jiro:sesame:", "neither"),
        (b"jiro:{PLAIN}a:../other", "leads out"),
        (b"jiro:{PLAIN}a:home/../../x", "leads out"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_its_number(line: bytes, words: str) -> None:
    with pytest.raises(AccountError, match=rf"^users/virtual:2: .*{words}"):
        accounts.parse(b"# first\n" + line + b"\n", "users/virtual")


def test_a_name_that_comes_twice_is_named() -> None:
    with pytest.raises(AccountError, match="virtual:2: the name has been used before"):
        accounts.parse(b"jiro:{PLAIN}a:\njiro:{PLAIN}b:\n", "virtual")


@given(st.binary(max_size=200))
def test_whatever_the_file_holds_it_is_read_or_named(data: bytes) -> None:
    try:
        users = accounts.parse(data, "virtual")
    except AccountError:
        return
    assert all(user.secret and user.home for user in users.values())


def test_a_user_is_added_with_a_home_a_maildir_and_a_file_that_only_the_owner_reads(home: bytes) -> None:
    made = accounts.add(home, b"jiro", b"sesame")
    assert made.home == home + b"/home/jiro"
    assert made.virtual
    assert stat.S_IMODE(os.stat(accounts.path(home)).st_mode) == 0o600
    for each in (b"", b"/Maildir", b"/Maildir/tmp", b"/Maildir/new", b"/Maildir/cur"):
        assert stat.S_IMODE(os.stat(made.home + each).st_mode) == 0o700, each
    assert accounts.find(b"jiro", environ(home)) == made
    assert accounts.check(b"jiro", b"sesame", environ(home)) == made
    assert accounts.check(b"jiro", b"wrong", environ(home)) is None
    assert accounts.check(b"nobodyhere", b"sesame", environ(home)) is None


def test_adding_keeps_the_lines_that_are_there_as_they_are(home: bytes) -> None:
    Path(os.fsdecode(home), "users").mkdir()
    where = Path(os.fsdecode(accounts.path(home)))
    before = b"# by hand\ntaro:{PLAIN}x:box/taro"
    where.write_bytes(before)
    accounts.add(home, b"jiro", b"sesame")
    lines = where.read_bytes().split(b"\n")
    assert b"\n".join(lines[:2]) == before
    assert lines[2].startswith(b"jiro:$scrypt$")
    assert lines[3:] == [b""]


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        (b"Jiro", b"x", "a-z"),
        (b"", b"x", "1 to 64"),
        (b"../x", b"x", "a-z"),
        (b"a:b", b"x", "a-z"),
        (b"a\nb", b"x", "a-z"),
        (b"jiro", b"", "empty"),
        (b"jiro", b"a\0b", "cannot carry"),
        (b"jiro", b"a\nb", "cannot carry"),
    ],
)
def test_a_bad_name_or_password_is_refused_and_writes_nothing(
    home: bytes, name: bytes, password: bytes, words: str
) -> None:
    with pytest.raises(AccountError, match=words):
        accounts.add(home, name, password)
    assert not os.path.exists(accounts.path(home))
    assert not os.path.exists(home + b"/home")


def test_a_name_that_is_taken_is_refused(home: bytes) -> None:
    accounts.add(home, b"jiro", b"sesame")
    with pytest.raises(AccountError, match="already"):
        accounts.add(home, b"jiro", b"other")
    assert accounts.check(b"jiro", b"sesame", environ(home)) is not None


def test_users_added_at_the_same_time_are_all_there(home: bytes) -> None:
    names = [b"user%d" % number for number in range(6)]
    threads = [threading.Thread(target=accounts.add, args=(home, name, b"x")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(accounts.find(name, environ(home)) for name in names)


def test_a_virtual_user_may_log_in_with_a_domain_that_is_ours(home: bytes) -> None:
    control = Path(os.fsdecode(home), "control")
    accounts.add(home, b"jiro", b"sesame")
    assert accounts.check(b"jiro@mail.example.com", b"sesame", environ(home)) is not None
    assert accounts.check(b"jiro@MAIL.example.com", b"sesame", environ(home)) is not None
    assert accounts.check(b"jiro@elsewhere.example", b"sesame", environ(home)) is None
    assert accounts.check(b"@mail.example.com", b"sesame", environ(home)) is None
    (control / "locals").write_text("other.example\n")
    assert accounts.check(b"jiro@other.example", b"sesame", environ(home)) is not None
    assert accounts.check(b"jiro@mail.example.com", b"sesame", environ(home)) is not None


def test_a_home_that_is_not_there_is_an_error_and_not_an_unknown_user(home: bytes) -> None:
    accounts.add(home, b"jiro", b"sesame")
    os.rename(home + b"/home/jiro", home + b"/home/away")
    with pytest.raises(AccountError, match=r"unable to find home .*/home/jiro: file does not exist"):
        accounts.find(b"jiro", environ(home))


def test_a_broken_file_is_an_error_for_every_name(home: bytes) -> None:
    accounts.add(home, b"jiro", b"sesame")
    with open(accounts.path(home), "ab") as file:
        file.write(b"oops\n")
    for name in (b"jiro", b"other"):
        with pytest.raises(AccountError, match=r"/users/virtual:2: not NAME:SECRET:HOME"):
            accounts.find(name, environ(home))


def test_a_file_that_cannot_be_read_is_an_error(home: bytes) -> None:
    os.makedirs(accounts.path(home))
    with pytest.raises(AccountError, match=r"unable to read .*/users/virtual: is a directory"):
        accounts.find(b"jiro", environ(home))


def test_a_secret_that_libcrypt_does_not_know_opens_to_nobody(home: bytes) -> None:
    made = accounts.add(home, b"jiro", b"sesame")
    with open(accounts.path(home), "wb") as file:
        file.write(b"jiro:$zz$abc$def:\n")
    assert accounts.find(b"jiro", environ(home)) == made
    assert accounts.check(b"jiro", b"sesame", environ(home)) is None


def test_an_ordinary_user_has_no_system_accounts(home: bytes) -> None:
    expected = os.geteuid() == 0
    assert (accounts.find(b"root", environ(home)) is not None) is expected


@pytest.mark.root
def test_root_finds_system_accounts_and_a_locked_one_opens_to_nothing(home: bytes) -> None:
    entry = pwd.getpwnam("daemon")
    found = accounts.find(b"daemon", environ(home))
    assert found is not None
    assert (found.uid, found.gid, found.home, found.virtual) == (
        entry.pw_uid,
        entry.pw_gid,
        entry.pw_dir.encode(),
        False,
    )
    assert accounts.check(b"daemon", b"", environ(home)) is None
    assert accounts.check(b"daemon", b"*", environ(home)) is None


@pytest.mark.root
def test_the_virtual_users_file_comes_before_the_system(home: bytes) -> None:
    made = accounts.add(home, b"daemon", b"sesame")
    assert accounts.find(b"daemon", environ(home)) == made
    assert accounts.check(b"daemon", b"sesame", environ(home)) == made


@pytest.mark.root
def test_in_a_tree_of_roots_a_new_user_is_not_root_and_in_another_ones_tree_it_is_its_owner(home: bytes) -> None:
    first = accounts.add(home, b"jiro", b"sesame")
    assert first.uid != 0
    assert os.stat(first.home + b"/Maildir/new").st_uid == first.uid
    os.unlink(accounts.path(home))
    os.chown(home, 12345, 12346)
    second = accounts.add(home, b"taro", b"sesame")
    assert (second.uid, second.gid) == (12345, 12346)
    assert os.stat(accounts.path(home)).st_uid == 12345
    accounts.add(home, b"hana", b"sesame")
    assert os.stat(accounts.path(home)).st_uid == 12345


def test_a_maildir_that_is_there_is_left_as_it_is(folder: Path) -> None:
    where = bytes(folder / "Maildir")
    accounts.make_maildir(where)
    Path(folder, "Maildir/new/1.2.host").write_bytes(b"x")
    os.chmod(where, 0o755)
    accounts.make_maildir(where)
    assert stat.S_IMODE(os.stat(where).st_mode) == 0o755
    assert sorted(os.listdir(where)) == [b"cur", b"new", b"tmp"]
    assert os.listdir(where + b"/new") == [b"1.2.host"]
