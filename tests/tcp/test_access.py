"""Rules in a file: asked without a process, and asked anew when the file changes."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from svtree.formats.rules import Decision
from svtree.tcp import access
from svtree.tcp.access import Access, AccessError
from tests.tcp.serving import compile_rules


def rules(path: Path, *, missing: bool = False, host: bool = False, info: bool = False) -> Access:
    return Access(bytes(path), may_be_missing=missing, host_known=host, info_known=info)


def denied(decision: Decision | None) -> bool:
    assert decision is not None
    return decision.deny


def test_without_rules_everybody_may_in() -> None:
    everybody = Access(None, may_be_missing=False, host_known=True, info_known=True)
    assert not denied(everybody.by_address(b"192.0.2.1"))
    assert not denied(everybody.by_names(b"192.0.2.1", b"x", b"y"))


def test_a_new_file_is_asked_at_once(folder: Path) -> None:
    asking = rules(compile_rules(folder, "192.0.2.1:deny\n:allow\n"))
    assert denied(asking.by_address(b"192.0.2.1"))
    assert not denied(asking.by_address(b"192.0.2.2"))
    compile_rules(folder, "192.0.2.2:deny\n:allow\n")
    assert not denied(asking.by_address(b"192.0.2.1"))
    assert denied(asking.by_address(b"192.0.2.2"))
    asking.close()


def test_who_is_known_to_be_denied_is_so_until_the_file_is_another(folder: Path) -> None:
    asking = rules(compile_rules(folder, "192.0.2.1:deny\n2001:db8::1:deny\n:allow\n"))
    assert not asking.known_denied("192.0.2.1", again=False)
    for address in (b"192.0.2.1", b"192.0.2.2", b"2001:db8::1"):
        asking.by_address(address)
    for shown in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"):
        assert asking.known_denied(shown, again=False)
    assert not asking.known_denied("192.0.2.2", again=False)
    compile_rules(folder, "192.0.2.2:deny\n:allow\n")
    # The file was looked at a moment ago; then it is looked at again.
    assert asking.known_denied("192.0.2.1", again=True)
    assert not asking.known_denied("192.0.2.1", again=False)
    assert not denied(asking.by_address(b"192.0.2.1"))
    assert not asking.known_denied("192.0.2.1", again=True)
    asking.forget()
    assert not asking.known_denied("192.0.2.2", again=False)
    asking.close()


def test_networks_and_ipv6_are_asked_and_follow_the_file(folder: Path) -> None:
    asking = rules(compile_rules(folder, "10.64.0.0/10:deny\n2001:db8::/32:deny\n"))
    assert denied(asking.by_address(b"10.64.0.1"))
    assert denied(asking.by_address(b"2001:db8::1"))
    assert denied(asking.by_address(b"::ffff:10.64.0.1"))
    assert not denied(asking.by_address(b"2001:db9::1"))
    assert denied(asking.by_names(b"10.64.0.1", b"a.example", None))
    # Other lengths than before.
    compile_rules(folder, "10.64.0.0/11:deny\n")
    assert denied(asking.by_address(b"10.64.0.1"))
    assert not denied(asking.by_address(b"10.96.0.1"))
    assert not denied(asking.by_address(b"2001:db8::1"))
    asking.close()


def test_rules_that_want_names_have_no_answer_by_address_while_names_are_asked_for(folder: Path) -> None:
    path = compile_rules(folder, "=.example:deny\n:allow\n")
    asking = rules(path, host=True)
    assert asking.by_address(b"192.0.2.1") is None
    assert denied(asking.by_names(b"192.0.2.1", b"a.example", None))
    assert not denied(asking.by_names(b"192.0.2.1", None, None))
    assert not denied(rules(path, info=True).by_address(b"192.0.2.1"))


def test_rules_that_want_a_user_have_no_answer_by_address_while_users_are_asked_for(folder: Path) -> None:
    path = compile_rules(folder, "joe@192.0.2.1:deny\n:allow\n")
    asking = rules(path, info=True)
    assert asking.by_address(b"192.0.2.1") is None
    assert denied(asking.by_names(b"192.0.2.1", None, b"joe"))
    assert not denied(rules(path, host=True).by_address(b"192.0.2.1"))


def test_what_only_looks_like_a_name_does_not_count(folder: Path) -> None:
    # A value with "@" and "=", and a value of 61 bytes, whose length reads "=" in the file.
    value = "x" * (61 - len("+RELAYCLIENT=") - 1)
    path = compile_rules(folder, f'192.0.2.1:allow,RELAYCLIENT="@fix=me"\n192.0.2.2:allow,RELAYCLIENT="{value}"\n')
    found = rules(path, host=True, info=True).by_address(b"192.0.2.1")
    assert found is not None
    assert found.environ == ((b"RELAYCLIENT", b"@fix=me"),)


def test_a_missing_file_is_forgiven_only_when_told_so(folder: Path) -> None:
    with pytest.raises(AccessError) as error:
        rules(folder / "none.cdb").by_address(b"192.0.2.1")
    assert error.value.reason == b"unable to read " + bytes(folder / "none.cdb") + b": file does not exist"
    asking = rules(folder / "none.cdb", missing=True)
    assert not denied(asking.by_address(b"192.0.2.1"))
    compile_rules(folder, ":deny\n", "none.cdb")
    assert denied(asking.by_address(b"192.0.2.1"))
    (folder / "none.cdb").unlink()
    assert not denied(asking.by_address(b"192.0.2.1"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", b"invalid argument"),
        (b"x", b"protocol error"),
        (b"x" * 2047, b"protocol error"),
        (b"\xff" * 4096, b"protocol error"),
    ],
    ids=["empty", "byte", "short", "wild"],
)
def test_what_is_no_cdb_is_named_and_never_forgiven(folder: Path, content: bytes, why: bytes) -> None:
    path = folder / "bad.cdb"
    path.write_bytes(content)
    asking = rules(path, missing=True)
    for _ in range(2):
        with pytest.raises(AccessError) as error:
            asking.by_address(b"192.0.2.1")
        assert error.value.reason == b"unable to read " + bytes(path) + b": " + why
    compile_rules(folder, ":deny\n", "bad.cdb")
    assert denied(asking.by_address(b"192.0.2.1"))


def test_a_directory_in_the_place_of_the_rules_is_named(folder: Path) -> None:
    with pytest.raises(AccessError, match="is a directory"):
        rules(folder, missing=True).by_address(b"192.0.2.1")


def test_a_record_that_is_broken_spoils_only_its_own_address(folder: Path) -> None:
    path = compile_rules(folder, "192.0.2.1:deny\n192.0.2.2:deny\n")
    data = bytearray(path.read_bytes())
    at = data.index(b"192.0.2.1") - 4
    data[at : at + 4] = struct.pack("<I", 1 << 30)
    path.write_bytes(data)
    asking = rules(path)
    with pytest.raises(AccessError, match="protocol error"):
        asking.by_address(b"192.0.2.1")
    assert denied(asking.by_address(b"192.0.2.2"))


def test_a_file_cut_in_place_is_seen_before_it_is_read(folder: Path) -> None:
    path = compile_rules(folder, "".join(f"10.0.{n >> 8}.{n & 255}:deny\n" for n in range(40000)))
    assert path.stat().st_size > 1 << 20
    asking = rules(path)
    assert denied(asking.by_address(b"10.0.0.1"))
    os.truncate(path, 3000)
    with pytest.raises(AccessError, match="protocol error"):
        asking.by_address(b"10.0.0.2")


def test_answers_are_kept_up_to_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "KEPT", 10)
    asking = rules(compile_rules(folder, "192.0.2.:deny\n"))
    assert all(denied(asking.by_address(b"192.0.2.%d" % n)) for n in range(100))
    assert len(asking._answers) <= 10
