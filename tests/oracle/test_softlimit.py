"""softlimit beside the original: same limits, same texts, same exit codes."""

from __future__ import annotations

import pytest

from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle
BIG = "200000000"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-m",),
        ("-z", "true"),
        ("-m", "5x", "true"),
        ("-m5x", "true"),
        ("-m", "-1", "true"),
        ("-c", "10"),
        ("-c", "10", "--"),
        ("--", "sh", "-c", "exit 4"),
        ("-c", "", "sh", "-c", "exit 4"),
        ("-", "true"),
        ("./missing",),
    ],
)
def test_texts_and_exit_codes(arguments: tuple[str, ...]) -> None:
    assert run([ours("softlimit"), *arguments]) == run([original("softlimit"), *arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        *[(f"-{letter}", BIG) for letter in "acdflmprs"],
        *[(f"-{letter}{BIG}",) for letter in "adm"],
        *[(f"-{letter}", "=") for letter in "acdflmoprst"],
        ("-o", "64"),
        ("-o", "99999999999"),
        ("-t", "100"),
        ("-c", "0"),
        ("-p0",),
        ("-m", BIG, "-d", "=", "-s", "8000000"),
        ("-d", "18446744073709551615"),
        ("-d", "18446744073709551616000000001000000"),
        ("-s", "9" * 70),
        ("-f", "9223372036854775807"),
    ],
)
def test_the_childs_limits(arguments: tuple[str, ...]) -> None:
    results = [
        run([program, *arguments, "cat", "/proc/self/limits"]) for program in (original("softlimit"), ours("softlimit"))
    ]
    assert results[0] == results[1]
    assert results[1].code == 0


@pytest.mark.parametrize("amount", ["4096", "1000000", "3000000", "6000000"])
def test_a_limit_far_below_our_own_size_does_to_the_child_what_the_original_does(amount: str) -> None:
    results = [run([program, "-m", amount, "/bin/true"]) for program in (original("softlimit"), ours("softlimit"))]
    assert results[0].code == results[1].code
