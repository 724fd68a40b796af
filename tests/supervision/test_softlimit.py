from __future__ import annotations

import resource

import pytest

from svtree.program import UsageError
from svtree.supervision.programs import softlimit
from svtree.system import rlimits
from tests.harness import ours, run


def test_m_limits_everything_that_grows() -> None:
    limits: dict[int, int] = {}
    rlimits.wanted("m", 4096, limits)
    assert limits == {
        resource.RLIMIT_DATA: 4096,
        resource.RLIMIT_STACK: 4096,
        resource.RLIMIT_MEMLOCK: min(4096, _hard(resource.RLIMIT_MEMLOCK)),
        resource.RLIMIT_AS: 4096,
    }


def _hard(number: int) -> int:
    hard = resource.getrlimit(number)[1]
    return 1 << 64 if hard == resource.RLIM_INFINITY else hard


def test_no_limit_goes_above_the_hard_one_and_equals_means_it() -> None:
    limits: dict[int, int] = {}
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    rlimits.wanted("o", None, limits)
    assert limits == {resource.RLIMIT_NOFILE: hard}
    rlimits.wanted("o", 1 << 62, limits)
    assert limits == {resource.RLIMIT_NOFILE: hard}


@pytest.mark.parametrize("arguments", [[b"-m"], [b"-m", b"1"], [b"-m", b"1k", b"next"], [b"-q", b"next"]])
def test_bad_arguments_change_nothing(arguments: list[bytes]) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(UsageError):
        softlimit.main([b"softlimit", *arguments], {})
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_under_a_limit_below_our_own_size_the_child_is_still_executed_or_named() -> None:
    result = run([ours("softlimit"), "-m", "2000000", "./missing"])
    assert (result.code, result.err) == (111, b"softlimit: fatal: unable to run ./missing: file does not exist\n")
