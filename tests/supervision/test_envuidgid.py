from __future__ import annotations

import pytest

from svtree.program import Chain, Fatal, UsageError
from svtree.supervision.programs import envuidgid


def test_uid_and_gid_are_the_accounts_and_nothing_else_changes() -> None:
    chain = envuidgid.main([b"envuidgid", b"root", b"next"], {b"UID": b"7", b"A": b"1"})
    assert chain == Chain((b"next",), {b"A": b"1", b"GID": b"0", b"UID": b"0"})


def test_it_wants_an_account_that_exists_and_a_child() -> None:
    with pytest.raises(UsageError):
        envuidgid.main([b"envuidgid", b"root"], {})
    with pytest.raises(Fatal, match="unknown account nosuch"):
        envuidgid.main([b"envuidgid", b"nosuch", b"next"], {})
