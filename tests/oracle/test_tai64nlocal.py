"""tai64nlocal beside the original: the same output for the same input, in several time zones."""

from __future__ import annotations

import random

import pytest

from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle
LABEL = b"@4000000037c219bf2ef02e94"
INPUTS = [
    b"",
    LABEL + b" mark\n",
    LABEL + b"\n",
    LABEL,
    b"before " + LABEL + b"\n",
    LABEL + LABEL + b"\n",
    b"\n" + LABEL + b"\n\n",
    LABEL + b"g and no space\n",
    LABEL + b"A and no space\n",
    b"@40000000ffffffffffffffff nanoseconds beyond a second\n",
    b"@400000000000000000000000 epoch\n",
    b"@3ffffff000000000deadbeef centuries ago\n",
    b"@ffff4000000037c219bf2ef02e94 more than 24 digits\n",
    b"no newline at the end",
    b"\0@\0" + LABEL + b"\xff\n",
]


@pytest.mark.parametrize("data", INPUTS, ids=range(len(INPUTS)))
@pytest.mark.parametrize("zone", ["UTC", "US/Pacific", "Asia/Kolkata", "Europe/Berlin"])
def test_the_output_is_the_same(data: bytes, zone: str) -> None:
    theirs = run([original("tai64nlocal")], stdin=data, env={"TZ": zone})
    if theirs.code == -11:
        pytest.fail(f"the original crashes on {data!r}, so it is no oracle for it")
    assert run([ours("tai64nlocal")], stdin=data, env={"TZ": zone}) == theirs


def test_a_long_log_is_the_same() -> None:
    choice = random.Random(64)
    lines = []
    for _ in range(20_000):
        # Five years, so that summer time begins and ends several times.
        label = b"@%016x%08x" % ((1 << 62) + 1_700_000_000 + choice.randrange(5 * 366 * 86400), choice.randrange(10**9))
        lines.append(choice.choice([label + b" ", b"", b" " + label]) + b"x" * choice.randrange(100) + b"\n")
    data = b"".join(lines)
    for zone in ("America/New_York", "Australia/Lord_Howe"):
        theirs = run([original("tai64nlocal")], stdin=data, env={"TZ": zone})
        assert run([ours("tai64nlocal")], stdin=data, env={"TZ": zone}) == theirs


def test_where_the_original_crashes_ours_leaves_the_line_alone() -> None:
    for line in (b"@ nothing\n", b"@ffffffffffffffffffffffff\n", b"@abc\n"):
        assert run([original("tai64nlocal")], stdin=line).code == -11
        done = run([ours("tai64nlocal")], stdin=line)
        assert (done.code, done.out) == (0, line)


def test_errors_are_a_code_without_a_word() -> None:
    for redirection in ("<&-", "> /dev/full"):
        script = f'echo line | "$0" {redirection}'
        theirs = run(["sh", "-c", script, original("tai64nlocal")])
        assert run(["sh", "-c", script, ours("tai64nlocal")]) == theirs
