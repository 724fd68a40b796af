"""setuidgid beside the original."""

from __future__ import annotations

import sys

import pytest

from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle
# The interpreter may stand where nobody may go, so it is started first.
AS_NOBODY = """
import os, sys
from svtree.multicall import load, run
from svtree.system.privileges import account, become
load(sys.argv[1])
nobody = account(b"nobody")
become(nobody.gid, nobody.uid)
name = sys.argv.pop(1)
run(name)
"""


@pytest.mark.parametrize(
    "arguments",
    [(), ("root",), ("no-such-account", "true"), ("0", "true")],
)
def test_texts_and_exit_codes(arguments: tuple[str, ...]) -> None:
    theirs = run([original("setuidgid"), *arguments])
    assert theirs.code in {100, 111}
    assert run([ours("setuidgid"), *arguments]) == theirs


@pytest.mark.root
@pytest.mark.parametrize("account", ["nobody", "daemon", "root"])
def test_the_child_has_the_accounts_ids_and_no_other_group(account: str) -> None:
    results = [
        run([program, account, "sh", "-c", "grep -E '^(Uid|Gid|Groups)' /proc/self/status; exit 5"])
        for program in (original("setuidgid"), ours("setuidgid"))
    ]
    assert results[0] == results[1]
    assert results[1].code == 5


@pytest.mark.root
def test_who_is_not_root_may_not() -> None:
    theirs = run([original("setuidgid"), "nobody", original("setuidgid"), "nobody", "true"])
    assert (theirs.code, theirs.err) == (111, b"setuidgid: fatal: unable to setgid: permission denied\n")
    assert run([sys.executable, "-c", AS_NOBODY, "setuidgid", "nobody", "true"]) == theirs


def test_a_child_that_cannot_be_run_is_named() -> None:
    if run([original("setuidgid"), "root", "true"]).code:
        pytest.skip("needs root")
    theirs = run([original("setuidgid"), "root", "./missing"])
    assert theirs.err == b"setuidgid: fatal: unable to run ./missing: file does not exist\n"
    assert run([ours("setuidgid"), "root", "./missing"]) == theirs
