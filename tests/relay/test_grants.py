from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svtree.relay import grants
from svtree.relay.grants import Grant, Grants, GrantsError

NOW = 1_800_000_000


@pytest.fixture
def store(folder: Path) -> Iterator[Grants]:
    made = Grants(os.open(folder, os.O_RDONLY | os.O_DIRECTORY), shared=False)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (b"127.0.0.1", b"127.0.0.1"),
        (b"::ffff:192.0.2.7", b"192.0.2.7"),
        (b"::FFFF:192.0.2.7", b"192.0.2.7"),
        (b"2001:DB8:0:0::1", b"2001:db8::1"),
        (b"", None),
        (b"..", None),
        (b"1.2.3", None),
        (b"1.2.3.04", None),
        (b"1.2.3.4.5", None),
        (b"256.1.1.1", None),
        (b"../etc/passwd", None),
        (b"::1/../x", None),
        (b"fe80::1%eth0", None),
        (b"1.2.3.4\n", None),
        (b"1.2.3.4\0", None),
        (b"\xff", None),
    ],
)
def test_only_addresses_become_file_names(text: bytes, canonical: bytes | None) -> None:
    assert grants.address(text) == canonical


@given(st.binary(max_size=50) | st.text("0123456789.:fF/", max_size=40).map(str.encode))
def test_what_is_an_address_is_a_safe_name_and_stays_the_same(text: bytes) -> None:
    name = grants.address(text)
    if name is not None:
        assert b"/" not in name
        assert name[:1] != b"."
        assert grants.address(name) == name


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"600", 600),
        (b" 60 ", 60),
        (b"60s", 60),
        (b"0", 900),
        (b"-5", 900),
        (b"", 900),
        (b"x", 900),
        (b"9" * 99, 999999999),
    ],
)
def test_the_life_of_a_grant(value: bytes, seconds: int) -> None:
    assert grants.expiry({b"RELAY_CTRL_EXPIRY": value}) == seconds
    assert grants.expiry({}) == 900


def at(folder: Path, name: str, when: float) -> None:
    os.utime(folder / name, (when, when))


def test_a_grant_is_in_force_for_its_seconds_and_not_one_more(folder: Path, store: Grants) -> None:
    store.allow(b"192.0.2.7", {})
    at(folder, "192.0.2.7", NOW)
    assert store.check(b"192.0.2.7", 600, NOW) == Grant(())
    assert store.check(b"192.0.2.7", 600, NOW + 600) == Grant(())
    assert store.check(b"192.0.2.7", 600, NOW + 601) is None
    assert os.listdir(folder) == []
    with pytest.raises(FileNotFoundError):
        store.check(b"192.0.2.7", 600, NOW)


def test_a_grant_from_the_future_is_none(folder: Path, store: Grants) -> None:
    store.allow(b"192.0.2.7", {})
    at(folder, "192.0.2.7", NOW + 86400)
    assert store.check(b"192.0.2.7", 600, NOW) is None


def test_the_account_travels_with_the_grant_and_nothing_else_does(folder: Path, store: Grants) -> None:
    store.allow(b"192.0.2.7", {b"USER": b"joe=x", b"DOMAIN": b"b.example", b"PATH": b"/evil"})
    assert (folder / "192.0.2.7").read_bytes() == b"USER=joe=x\0DOMAIN=b.example\0"
    assert store.check(b"192.0.2.7", 600, time.time()) == Grant(((b"USER", b"joe=x"), (b"DOMAIN", b"b.example")))
    (folder / "192.0.2.8").write_bytes(b"LD_PRELOAD=/evil\0USER=joe\0USER=unended")
    assert store.check(b"192.0.2.8", 600, time.time()) == Grant(((b"USER", b"joe"),))


def test_a_grant_that_is_no_plain_file_is_not_believed(folder: Path, store: Grants) -> None:
    (folder / "192.0.2.7").symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        store.check(b"192.0.2.7", 600, time.time())


def test_aging_removes_what_is_over_and_leaves_the_rest(folder: Path, store: Grants) -> None:
    for name, when in (("192.0.2.1", NOW - 601), ("192.0.2.2", NOW - 600), (".1.2:3", NOW - 9999), ("192.0.2.3", NOW)):
        (folder / name).touch()
        at(folder, name, when)
    (folder / "directory").mkdir()
    at(folder, "directory", NOW)
    store.age(600, NOW)
    assert sorted(os.listdir(folder)) == ["192.0.2.2", "192.0.2.3", "directory"]


def test_a_new_grant_that_came_while_the_old_one_was_looked_at_is_not_removed(folder: Path, store: Grants) -> None:
    (folder / "192.0.2.7").touch()
    at(folder, "192.0.2.7", NOW - 9999)
    old = os.stat(folder / "192.0.2.7")
    store.allow(b"192.0.2.7", {})
    at(folder, "192.0.2.7", NOW)
    store._remove(b"192.0.2.7", old, 600, NOW)
    assert os.listdir(folder) == ["192.0.2.7"]
    assert store.check(b"192.0.2.7", 600, NOW) == Grant(())


@pytest.mark.parametrize("value", [b"", b"x", b"5x", b"-1", b"9999999999", b"77777"])
def test_a_descriptor_that_is_none_is_said(value: bytes) -> None:
    with pytest.raises(GrantsError):
        grants.opened({b"RELAY_CTRL_DIR_FD": value})


def test_a_descriptor_that_is_no_directory_is_said(folder: Path) -> None:
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(GrantsError, match="Not a directory"):
            grants.opened({b"RELAY_CTRL_DIR_FD": b"%d" % descriptor})
    finally:
        os.close(descriptor)


def test_an_inherited_directory_stays_open_here_and_is_closed_to_what_is_executed(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        for _ in range(3):
            store = grants.opened({b"RELAY_CTRL_DIR_FD": b"%d" % descriptor})
            store.allow(b"192.0.2.7", {})
            store.close()
        assert not os.get_inheritable(descriptor)
        assert (folder / "192.0.2.7").stat().st_mode & 0o777 == 0o666
    finally:
        os.close(descriptor)
