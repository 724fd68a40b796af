"""argv0, recordio, fixcrio, addcr and delcr beside the originals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import Result, original, ours, run

pytestmark = pytest.mark.oracle


def without_pid(result: Result) -> Result:
    return Result(result.code, result.out, re.sub(rb"(?m)^\d+ ", b"PID ", result.err))


def settled(result: Result) -> Result:
    """The program and the filter write at the same time, and the end of the input is seen only if it comes first."""
    lines = [line for line in result.err.splitlines(keepends=True) if line != b"PID < [EOF]\n"]
    return Result(result.code, result.out, b"".join(sorted(lines)))


@pytest.mark.parametrize("name", ["argv0", "recordio", "fixcrio"])
@pytest.mark.parametrize("arguments", [(), ("true",), ("./missing",), ("./missing", "x"), ("sh", "-c", "exit 7")])
def test_the_same_texts_and_codes(name: str, arguments: tuple[str, ...], folder: Path) -> None:
    theirs = run([original(name), *arguments], cwd=folder)
    mine = run([ours(name), *arguments], cwd=folder)
    assert settled(without_pid(mine)) == settled(without_pid(theirs))


def test_argv0_gives_a_program_another_name() -> None:
    script = 'tr "\\0" " " < /proc/self/cmdline'
    for program in (original("argv0"), ours("argv0")):
        assert run([program, "sh", "-zero", "-c", "echo $0"]).out == b"-zero\n"
        assert run([program, "/bin/sh", "zero", "-c", script]).code == 0


def test_argv0_runs_one_of_ours_under_another_name() -> None:
    for program in (original("argv0"), ours("argv0")):
        assert run([program, ours("addcr"), "anything"], stdin=b"a\n").out == b"a\r\n"


INPUTS = [b"", b"\n", b"a\nb\r\nc\r\r\nd", b"\r", b"a\r", b"\r\r\r\n\n\n", b"x" * 100_000 + b"\n", b"\0\xff\n" * 1000]


@pytest.mark.parametrize("name", ["addcr", "delcr"])
@pytest.mark.parametrize("data", INPUTS, ids=range(len(INPUTS)))
def test_streams_are_changed_alike(name: str, data: bytes) -> None:
    assert run([ours(name)], stdin=data) == run([original(name)], stdin=data)


@pytest.mark.parametrize("data", INPUTS, ids=range(len(INPUTS)))
def test_fixcrio_changes_both_directions_alike(data: bytes) -> None:
    # The program shows what has come to it, then says the same.
    script = ["sh", "-c", "tee /dev/stderr"]
    assert run([ours("fixcrio"), *script], stdin=data) == run([original("fixcrio"), *script], stdin=data)


@pytest.mark.parametrize(
    "data", [b"", b"one\ntwo\n", b"no end", b"\n\n", b"y" * 255 + b"\nz", b"x" * 1000 + b"\n" + b"y" * 20], ids=range(6)
)
def test_a_transcript_is_the_same(data: bytes) -> None:
    # The program reads everything before it answers, so the order of the lines is given.
    script = ["sh", "-c", "sum=$(wc -c); printf 'read %d\\nbye' $sum"]
    results = [without_pid(run([program, *script], stdin=data)) for program in (original("recordio"), ours("recordio"))]
    assert results[0] == results[1]
    assert b"PID > [EOF]\n" in results[1].err


def test_the_number_in_a_transcript_is_the_programs() -> None:
    for program in (original("recordio"), ours("recordio")):
        done = run([program, "sh", "-c", "echo $$"])
        assert done.err.splitlines()[0] in (
            done.out.strip() + b" > " + done.out.strip() + b" ",
            done.out.strip() + b" < [EOF]",
        )


def test_errors_of_the_plain_filters_are_a_code_without_a_word() -> None:
    for name in ("addcr", "delcr"):
        for redirection in ("<&-", "> /dev/full"):
            script = f'echo line | "$0" {redirection}'
            theirs = run(["sh", "-c", script, original(name)])
            mine = run(["sh", "-c", script, ours(name)])
            assert (mine.out, mine.err) == (theirs.out, theirs.err) == (b"", b"")
            assert mine.code == 111
