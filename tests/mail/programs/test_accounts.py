"""qmail-getpw."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from svtree.mail import accounts
from tests.harness import Result, ours, run


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "alias").mkdir()
    accounts.add(os.fsencode(folder), b"joe", b"secret")
    return folder


def getpw(home: Path, *words: str) -> Result:
    return run([ours("qmail-getpw"), *words], env={"QMAILHOME": str(home)})


@pytest.mark.parametrize(
    ("local", "dash", "extension"), [("joe", "", ""), ("JOE", "", ""), ("joe-", "-", ""), ("Joe-a-B", "-", "a-B")]
)
def test_an_address_is_the_account_s_that_it_begins_with(home: Path, local: str, dash: str, extension: str) -> None:
    done = getpw(home, local)
    status = (home / "home" / "joe").stat()
    fields = ["joe", str(status.st_uid), str(status.st_gid), f"{home}/home/joe", dash, extension, ""]
    assert (done.code, done.out.decode().split("\0"), done.err) == (0, fields, b"")


@pytest.mark.parametrize("local", ["joey", "", "-", "x" * 300, "joe.x"])
def test_what_is_nobody_s_is_alias(home: Path, local: str) -> None:
    done = getpw(home, local)
    name, uid, _, where, dash, extension, _ = done.out.decode().split("\0")
    assert (name, where, dash, extension) == ("alias", f"{home}/alias", "-", local)
    assert uid != "0"


def test_where_there_is_no_alias_nobody_is_told(home: Path) -> None:
    (home / "alias").rmdir()
    assert getpw(home, "nobody-here") == Result(116, b"", b"")
    assert getpw(home) == Result(100, b"", b"qmail-getpw: usage: qmail-getpw local\n")


def test_a_list_of_users_that_cannot_be_read_is_trouble(home: Path) -> None:
    (home / "users" / "virtual").write_text("nonsense\n")
    done = getpw(home, "joe")
    assert (done.code, done.out) == (118, b"")
    assert done.err.startswith(f"qmail-getpw: fatal: {home}/users/virtual:1: ".encode())
