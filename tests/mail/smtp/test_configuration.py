"""What qmail-smtpd keeps from one client to the next, and when it reads it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from svtree.formats import cdb
from svtree.mail.controls import ControlError, Controls
from svtree.mail.smtp import configuration
from svtree.mail.smtp.recipients import Recipients
from svtree.system import mapped, unchanged
from tests.harness import until


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control directory on a file system whose stamps are as fine as a kernel's ticks."""
    monkeypatch.setattr(unchanged, "COARSE", 0.1)
    found = tmp_path / "control"
    found.mkdir()
    (found / "me").write_text("host.example\n")
    (found / "rcpthosts").write_text("Host.example\n")
    return found


def current(control: Path) -> configuration.Configuration:
    return configuration.current(Controls(bytes(control.parent)))


def kept(control: Path) -> configuration.Configuration:
    """The configuration once it is kept."""

    def found() -> configuration.Configuration | None:
        first = current(control)
        return first if current(control) is first else None

    value = until(found)
    assert value is not None
    return value


def test_defaults(control: Path) -> None:
    told = current(control)
    assert (told.greeting, told.literal_host, told.timeout) == (b"host.example", b"host.example", 1200)
    assert (told.databytes, told.bad_senders, told.checks_mailboxes) == (0, frozenset(), False)
    assert told.hosts.names == {b"host.example"}


def test_without_me_there_is_no_configuration_until_there_is_one(control: Path) -> None:
    (control / "me").unlink()
    for _ in range(3):
        with pytest.raises(ControlError, match="control/me: file does not exist"):
            current(control)
    (control / "me").write_text("other.example\n")
    assert current(control).greeting == b"other.example"


def test_what_has_not_changed_is_kept_and_what_has_is_read(control: Path) -> None:
    assert kept(control).timeout == 1200
    (control / "timeoutsmtpd").write_text("7\n")
    assert current(control).timeout == 7
    assert kept(control).timeout == 7
    (control / "timeoutsmtpd").write_text("8\n")
    assert current(control).timeout == 8


def test_another_directory_is_another_configuration(control: Path, tmp_path: Path) -> None:
    kept(control)
    other = tmp_path / "other/control"
    other.mkdir(parents=True)
    (other / "me").write_text("other.example\n")
    assert current(other).greeting == b"other.example"
    assert current(control).greeting == b"host.example"


def test_a_broken_file_is_complained_of_for_as_long_as_it_is_broken(control: Path) -> None:
    kept(control)
    (control / "esmtp").write_text("sise\n")
    for _ in range(3):
        with pytest.raises(ControlError, match="esmtp: unknown word sise"):
            current(control)
    (control / "esmtp").write_text("size\n")
    assert current(control).offered.words == {b"size"}


def accepts(told: configuration.Configuration, address: bytes) -> bool | None:
    return Recipients(told.hosts, lambda _: None).accepts(address)


@pytest.mark.parametrize("copied", [mapped.COPIED, 0])
def test_a_table_of_hosts_is_what_it_is_now_whether_it_is_kept_or_open(
    control: Path, copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "COARSE", -3600.0)
    monkeypatch.setattr(mapped, "COPIED", copied)
    for host in (b"a.example", b"b.example", b"c.example"):
        (control / "new").write_bytes(b"".join(cdb.make([(host, b"")])))
        (control / "new").rename(control / "morercpthosts.cdb")
        for _ in range(3):
            told = current(control)
            # A cdb that is open is no one's to keep: a standing process has to end each session as it began.
            assert told.hosts.is_open() == (copied == 0)
            assert [accepts(told, b"x@" + each) for each in (host, b"d.example")] == [True, False]
            configuration.release(told)
