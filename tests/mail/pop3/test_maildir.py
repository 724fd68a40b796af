from __future__ import annotations

import os
from pathlib import Path

import pytest

from svtree.mail.accounts import make_maildir
from svtree.mail.pop3 import maildir


@pytest.fixture
def box(folder: Path) -> Path:
    make_maildir(bytes(folder / "Maildir"))
    return folder / "Maildir"


def put(box: Path, name: str, written: int, text: bytes = b"x\n") -> Path:
    path = box / name
    path.write_bytes(text)
    os.utime(path, ns=(written, written))
    return path


def test_messages_are_listed_oldest_first_from_new_and_cur(box: Path) -> None:
    put(box, "cur/3.c.host:2,S", 3_000_000_000)
    put(box, "new/2.b.host", 2_000_000_001)
    put(box, "new/1.a.host", 2_000_000_000, b"12345")
    put(box, "new/0.same.host", 3_000_000_000)
    found = maildir.scan(bytes(box))
    assert [each.unique for each in found] == [b"1.a.host", b"2.b.host", b"0.same.host", b"3.c.host"]
    assert found[0].size == 5


def test_what_is_no_message_is_not_listed(box: Path) -> None:
    (box / "new" / ".hidden").write_bytes(b"x")
    (box / "new" / "folder").mkdir()
    os.mkfifo(box / "cur" / "fifo")
    (box / "cur" / "dangling").symlink_to("nowhere")
    assert maildir.scan(bytes(box)) == []


def test_a_directory_without_new_cannot_be_scanned(box: Path) -> None:
    (box / "new").rmdir()
    with pytest.raises(FileNotFoundError):
        maildir.scan(bytes(box))


def test_updating_removes_what_is_deleted_and_makes_old_what_is_new(box: Path) -> None:
    put(box, "new/1.a.host", 1_000_000_000)
    put(box, "new/2.b.host", 2_000_000_000)
    put(box, "cur/3.c.host:2,S", 3_000_000_000)
    put(box, "cur/4.d.host:2,", 4_000_000_000)
    messages = maildir.scan(bytes(box))
    put(box, "new/5.later.host", 5_000_000_000)
    assert maildir.update(messages, frozenset({1, 3})) == 0
    assert sorted(os.listdir(box / "cur")) == ["1.a.host:2,", "3.c.host:2,S"]
    assert os.listdir(box / "new") == ["5.later.host"]


def test_what_has_gone_meanwhile_is_counted_only_if_it_was_to_be_removed(box: Path) -> None:
    first = put(box, "new/1.a.host", 1_000_000_000)
    second = put(box, "new/2.b.host", 2_000_000_000)
    messages = maildir.scan(bytes(box))
    first.unlink()
    second.unlink()
    assert maildir.update(messages, frozenset({0})) == 1


def test_only_what_nobody_has_touched_for_36_hours_is_cleaned_from_tmp(box: Path) -> None:
    now = 1_795_474_732
    for name, age in (("old", 129601), ("young", 129600), (".old", 999999)):
        path = box / "tmp" / name
        path.write_bytes(b"x")
        os.utime(path, (now - age, now))
    maildir.clean(bytes(box), now)
    assert sorted(os.listdir(box / "tmp")) == [".old", "young"]
    maildir.clean(bytes(box / "nowhere"), now)
