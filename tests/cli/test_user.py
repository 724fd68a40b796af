from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from svtree.mail import accounts
from tests.harness import Result, ours, run


@pytest.fixture
def tree(folder: Path) -> Path:
    """A tree of mail.example.com with one user."""
    home = folder / "t" / "qmail"
    (home / "control").mkdir(parents=True)
    for name in ("me", "locals", "rcpthosts"):
        (home / "control" / name).write_text("mail.example.com\n")
    accounts.add(bytes(home), b"jiro", b"sesame")
    return folder / "t"


def user(*words: str | Path, stdin: bytes = b"") -> Result:
    return run([ours("svtree"), "user", *words], stdin=stdin)


def opens(tree: Path, name: bytes, password: bytes) -> bytes | None:
    found = accounts.check(name, password, {b"QMAILHOME": bytes(tree / "qmail")})
    return None if found is None else found.name


def test_an_account_is_added_with_its_maildir_and_nobody_else_reads_the_file(tree: Path) -> None:
    done = user("add", tree, "saburo", "--password-stdin", stdin=b"ka tou\n")
    assert (done.code, done.err) == (0, b""), done.err
    assert done.out == b"Made saburo: mail in %b/qmail/home/saburo/Maildir.\n" % bytes(tree)
    assert opens(tree, b"saburo", b"ka tou") == b"saburo"
    assert (tree / "qmail/home/saburo/Maildir/new").is_dir()
    assert stat.S_IMODE((tree / "qmail/users/virtual").stat().st_mode) == 0o600


def test_an_account_that_is_there_or_badly_named_or_without_password_is_not_made(tree: Path) -> None:
    before = (tree / "qmail/users/virtual").read_bytes()
    for words, why in (
        (("jiro", b"x\n"), b"jiro: there is such a user already"),
        (("Ji/ro", b"x\n"), b"a name is made of a-z"),
        (("saburo", b"\n"), b"the password is empty"),
        (("saburo", b"a:b\n"), b"cannot have a colon"),
    ):
        done = user("add", tree, words[0], "--password-stdin", "--plain", stdin=words[1])
        assert done.code == 100
        assert why in done.err
        assert done.err.count(b"\n") == 1
    assert (tree / "qmail/users/virtual").read_bytes() == before


def test_a_password_is_changed_and_comments_and_order_stay(tree: Path) -> None:
    path = tree / "qmail/users/virtual"
    path.write_bytes(b"# people\n\n" + path.read_bytes() + b"hana:{PLAIN}x:home/jiro\n")
    assert user("passwd", tree, "jiro", "--password-stdin", stdin=b"new one\n").code == 0
    assert (opens(tree, b"jiro", b"new one"), opens(tree, b"jiro", b"sesame")) == (b"jiro", None)
    lines = path.read_bytes().split(b"\n")
    assert lines[:2] == [b"# people", b""]
    assert lines[2].startswith(b"jiro:$scrypt$")
    assert lines[3:] == [b"hana:{PLAIN}x:home/jiro", b""]
    assert user("passwd", tree, "hana", "--password-stdin", "--plain", stdin=b"y\n").code == 0
    assert path.read_bytes().endswith(b"\nhana:{PLAIN}y:home/jiro\n")


def test_an_account_is_removed_and_its_mail_stays(tree: Path) -> None:
    (tree / "qmail/home/jiro/Maildir/new/1.x.host").write_text("x\n")
    done = user("remove", tree, "jiro")
    assert (done.code, done.err) == (0, b"")
    assert opens(tree, b"jiro", b"sesame") is None
    assert (tree / "qmail/home/jiro/Maildir/new/1.x.host").exists()
    assert user("remove", tree, "jiro").err == b"svtree: fatal: jiro: there is no such user\n"


def test_accounts_are_listed_for_people_and_for_programs(tree: Path) -> None:
    user("add", tree, "saburo", "--password-stdin", "--plain", stdin=b"x\n")
    assert [line.split()[:2] for line in user("list", tree).out.decode().splitlines()] == [
        ["jiro", "scrypt"],
        ["saburo", "known"],
    ]
    (first, _) = json.loads(user("list", tree, "--json").out)
    assert first == {"name": "jiro", "secret": "scrypt", "home": f"{tree}/qmail/home/jiro"}


def test_an_account_of_a_domain_of_its_own_logs_in_by_its_address(tree: Path) -> None:
    done = user("add", tree, "info@new.example", "--password-stdin", stdin=b"x\n")
    assert done.code == 0, done.err
    control = tree / "qmail" / "control"
    assert (control / "virtualdomains").read_text() == "new.example:new.example\n"
    assert (control / "rcpthosts").read_text() == "mail.example.com\nnew.example\n"
    assert opens(tree, b"info@new.example", b"x") == b"new.example-info"
    assert user("add", tree, "sales@new.example", "--password-stdin", stdin=b"x\n").code == 0
    assert (control / "virtualdomains").read_text() == "new.example:new.example\n"
    assert user("passwd", tree, "info@NEW.example", "--password-stdin", stdin=b"y\n").code == 0
    assert opens(tree, b"info@new.example", b"y") == b"new.example-info"
    assert user("remove", tree, "info@new.example").code == 0


def test_an_address_of_this_host_is_the_name_alone(tree: Path) -> None:
    assert user("passwd", tree, "jiro@Mail.example.com", "--password-stdin", stdin=b"y\n").code == 0
    assert opens(tree, b"jiro", b"y") == b"jiro"


def test_a_directory_that_is_no_tree_is_named(folder: Path) -> None:
    done = user("list", folder)
    assert done.code == 100
    assert bytes(folder) in done.err


def test_a_file_with_a_mistyped_line_is_not_changed(tree: Path) -> None:
    path = tree / "qmail/users/virtual"
    with path.open("ab") as file:
        file.write(b"oops\n")
    before = path.read_bytes()
    for verb, *more in (["passwd", "jiro", "--password-stdin"], ["remove", "jiro"], ["list"]):
        done = user(verb, tree, *more, stdin=b"y\n")
        assert done.code == 100
        assert done.err.endswith(b"virtual:2: not NAME:SECRET:HOME\n")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["virtual"]
