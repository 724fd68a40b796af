"""qmail-showctl: what the recording does not have (tests/golden)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness import ours, run


@pytest.fixture
def home(folder: Path) -> Path:
    control = folder / "control"
    control.mkdir()
    for name, text in (
        ("me", "mail.example.com"),
        ("defaultdomain", "example.com"),
        ("plusdomain", "com"),
        ("locals", "mail.example.com\nlocalhost"),
        ("rcpthosts", "mail.example.com\nlocalhost"),
    ):
        (control / name).write_text(text + "\n")
    return folder


def show(home: Path, code: int = 0) -> list[str]:
    done = run([ours("qmail-showctl")], env={"QMAILHOME": str(home)})
    assert (done.code, done.err) == (code, b"")
    return done.out.decode().splitlines()


def said(home: Path, name: str) -> list[str]:
    """The paragraph of a control file."""
    lines = show(home)
    first = next(at for at, line in enumerate(lines) if line.startswith(f"{name}: "))
    return lines[first : lines.index("", first) if "" in lines[first:] else None]


def test_where_there_are_no_users_of_qmails_the_tree_s_owner_is_shown(home: Path) -> None:
    ids = next(line for line in show(home) if line.startswith("user ids: ")).removeprefix("user ids: ")
    shown = [int(each) for each in ids.removesuffix(".").split(", ")]
    assert len(shown) == 8
    assert os.stat(home).st_uid in shown


@pytest.mark.parametrize(
    ("name", "text", "paragraph"),
    [
        (
            "badmailfrom",
            "a@b\n# c\n@d\n",
            ["badmailfrom: ", "a@b not accepted in MAIL FROM.", "@d not accepted in MAIL FROM."],
        ),
        ("databytes", "1000", ["databytes: SMTP DATA limit is 1000 bytes."]),
        ("databytes", "many", ["databytes: (Default.) SMTP DATA limit is 0 bytes."]),
        ("bouncefrom", "x\x01y\nrest", ["bouncefrom: Bounce user name is x?y."]),
        ("idhost", "", ["idhost: Message-ID host name is ."]),
        ("percenthack", "h\n", ["percenthack: ", "The percent hack is allowed for user%host@h."]),
        ("qmqpservers", "192.0.2.1\n", ["qmqpservers: ", "QMQP server: 192.0.2.1."]),
        ("smtproutes", ":relay\n", ["smtproutes: ", "SMTP route: :relay"]),
        ("morercpthosts", "m\n", ["morercpthosts: ", "SMTP clients may send messages to recipients at m."]),
        ("virtualdomains", "v:u\n", ["virtualdomains: ", "Virtual domain: v:u"]),
        ("rcpthost", "typo\n", ["rcpthost: I have no idea what this file does."]),
    ],
)
def test_a_file_is_shown_as_it_is_understood(home: Path, name: str, text: str, paragraph: list[str]) -> None:
    (home / "control" / name).write_text(text)
    assert said(home, name) == paragraph


def test_a_file_that_cannot_be_read_is_trouble_of_its_own(home: Path) -> None:
    (home / "control" / "locals").unlink()
    (home / "control" / "locals").mkdir()
    assert said(home, "locals") == ["locals: Oops! Trouble reading this file."]
    assert said(home, "me") == ["me: My name is mail.example.com."]


def test_morercpthosts_and_its_cdb_are_compared(home: Path) -> None:
    source, cdb = home / "control" / "morercpthosts", home / "control" / "morercpthosts.cdb"
    cdb.touch()
    assert said(home, "morercpthosts.cdb") == [
        "morercpthosts.cdb: Oops! morercpthosts.cdb exists but morercpthosts doesn't."
    ]
    source.touch()
    os.utime(source, (2000, 2000))
    os.utime(cdb, (1000, 1000))
    assert said(home, "morercpthosts.cdb") == [
        "morercpthosts.cdb: Oops! morercpthosts.cdb is older than morercpthosts."
    ]
    os.utime(cdb, (2000, 2000))
    assert said(home, "morercpthosts.cdb") == ["morercpthosts.cdb: Modified recently enough; hopefully up to date."]
    cdb.unlink()
    assert said(home, "morercpthosts.cdb") == [
        "morercpthosts.cdb: Oops! morercpthosts exists but morercpthosts.cdb doesn't."
    ]


def test_without_rcpthosts_it_says_that_nothing_is_relayed(home: Path) -> None:
    (home / "control" / "rcpthosts").unlink()
    (home / "control" / "morercpthosts").write_text("m\n")
    assert said(home, "rcpthosts") == ["rcpthosts: (Default.) SMTP clients may send messages to local recipients only."]
    assert said(home, "morercpthosts") == ["morercpthosts: ", "No rcpthosts; doesn't matter that morercpthosts has m."]


def test_where_there_is_nothing_it_says_so(folder: Path) -> None:
    assert show(folder, 111)[-1] == "Oops! Unable to chdir to control."
    assert show(folder / "none", 111)[-1] == f"Oops! Unable to chdir to {folder}/none."


def test_what_the_original_does_not_know_is_told_of_where_it_is_there_and_no_key_is_shown(home: Path) -> None:
    (home / "control" / "esmtp").write_text("size\nstarttls\n")
    (home / "control" / "servercert.pem").write_text("secret\n")
    assert said(home, "esmtp") == ["esmtp: ", "SMTP extension offered: size.", "SMTP extension offered: starttls."]
    assert said(home, "servercert.pem") == ["servercert.pem: There."]
    assert not any(line.startswith("tlshosts") for line in show(home))
