from __future__ import annotations

import pytest

from svtree.program import Fatal, UsageError
from svtree.supervision.programs import setuidgid
from svtree.system import privileges


def test_it_wants_an_account_and_a_child() -> None:
    with pytest.raises(UsageError):
        setuidgid.main([b"setuidgid", b"root"], {})


def test_an_unknown_account_is_named() -> None:
    with pytest.raises(Fatal, match="unknown account no-such-account"):
        setuidgid.main([b"setuidgid", b"no-such-account", b"true"], {})


def test_accounts_are_found_by_name_alone() -> None:
    root = privileges.account(b"root")
    assert root is not None
    assert (root.name, root.uid, root.gid) == (b"root", 0, 0)
    assert privileges.account(b"0") is None
    assert privileges.account(b"") is None
    assert privileges.account(b"ro\0ot") is None
    assert privileges.account(b"\xff") is None
