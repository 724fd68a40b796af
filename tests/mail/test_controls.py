from __future__ import annotations

import os
from pathlib import Path

import pytest

from svtree.mail.controls import ControlError, Controls, home


@pytest.fixture
def controls(tmp_path: Path) -> Controls:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mail.example.com\n")
    return Controls(bytes(tmp_path))


def test_home_is_qmailhome_or_var_qmail() -> None:
    assert home({}) == home({b"QMAILHOME": b""}) == b"/var/qmail"
    assert home({b"QMAILHOME": b"/srv/q"}) == b"/srv/q"


def test_a_missing_file_has_its_default(controls: Controls) -> None:
    assert controls.me() == b"mail.example.com"
    assert controls.line("smtpgreeting") is None
    assert controls.line_or_me("helohost") == b"mail.example.com"
    assert controls.lines("rcpthosts") is None
    assert controls.lines_or_me("locals") == [b"mail.example.com"]
    assert controls.number("databytes", 7) == 7


def test_an_empty_list_is_not_a_missing_one(controls: Controls) -> None:
    Path(os.fsdecode(controls.directory), "rcpthosts").write_text("")
    assert controls.lines("rcpthosts") == []


def test_a_number_that_is_none_is_the_default(controls: Controls) -> None:
    Path(os.fsdecode(controls.directory), "databytes").write_bytes(b"\xff\n")
    assert controls.number("databytes", 7) == 7


def test_a_file_that_cannot_be_read_is_named(controls: Controls) -> None:
    Path(os.fsdecode(controls.directory), "locals").mkdir()
    with pytest.raises(ControlError, match=r"unable to read .*/control/locals: is a directory"):
        controls.lines("locals")
