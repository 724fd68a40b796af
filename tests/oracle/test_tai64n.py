"""tai64n beside the original: the same lines behind labels of the same form and time."""

from __future__ import annotations

import time

import pytest

from svtree.formats import tai64
from tests.harness import original, ours, run

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"one\ntwo\n", b"no end", b"\n\nx\0y\n", b"100%s %d %%\n", b"x" * 200_000 + b"\nlast\n"]
)
def test_the_lines_and_the_form_of_labels_are_the_same(data: bytes) -> None:
    before = time.time_ns()
    results = [run([program], stdin=data) for program in (original("tai64n"), ours("tai64n"))]
    after = time.time_ns()
    plain = []
    for result in results:
        lines = result.out.splitlines(keepends=True)
        # The original knows microseconds and says half of one more.
        assert all(before - 1000 <= tai64.parse(line[:25]) <= after + 1000 for line in lines)
        plain.append([line[25:] for line in lines])
    assert plain[0] == plain[1]
    assert (results[0].code, results[0].err) == (results[1].code, results[1].err) == (0, b"")


def test_errors_are_a_code_without_a_word() -> None:
    for redirection in ("<&-", "> /dev/full"):
        script = f'echo line | "$0" {redirection}'
        theirs = run(["sh", "-c", script, original("tai64n")])
        assert run(["sh", "-c", script, ours("tai64n")]) == theirs
        assert theirs.code == 111


def test_a_reader_that_goes_ends_both_alike() -> None:
    for program in (original("tai64n"), ours("tai64n")):
        done = run(["bash", "-c", 'yes | "$0" | head -1 | wc -l; echo ${PIPESTATUS[1]}', program])
        assert done.out == b"1\n141\n"
