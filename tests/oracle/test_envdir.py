"""envdir beside the original: same environment, same texts, same exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.harness import Result, original, ours, run

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
FILES = {
    "PLAIN": b"value\n",
    "NO_NEWLINE": b"value",
    "FIRST": b"first\nsecond\n",
    "EMPTY": b"",
    "GONE": b"",
    "BLANK": b"\n",
    "TRAILING": b" lead trail \t \n",
    "NUL": b"a\0b\0\n",
    "E=F": b"v\n",
    "G=H": b"",
    ".hidden": b"value\n",
    "BYTES": bytes(range(1, 10)) + bytes(range(11, 256)),
    "LONG": b"x" * 100_000,
}


def both(*arguments: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
    """What the original does, having checked that ours does the same."""
    theirs = run([original("envdir"), *arguments], env=env, cwd=cwd)
    assert run([ours("envdir"), *arguments], env=env, cwd=cwd) == theirs
    return theirs


def variables(output: bytes) -> list[bytes]:
    return sorted(each for each in output.split(b"\0") if each)


def test_the_environment_is_the_same(folder: Path) -> None:
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    results = [
        run([program, folder, "env", "-0"], env={"GONE": "1", "KEPT": "2"})
        for program in (original("envdir"), ours("envdir"))
    ]
    assert variables(results[0].out) == variables(results[1].out)
    assert b"KEPT=2" in variables(results[1].out)
    assert b"E=F=v" in variables(results[1].out)
    assert not any(each.startswith(b"GONE=") for each in variables(results[1].out))


@pytest.mark.parametrize("arguments", [(), (".",), ("missing", "true"), ("file", "true"), (".", "no-such-program")])
def test_texts_and_exit_codes(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "file").touch()
    assert both(*arguments, cwd=folder).code == 111


def test_a_subdirectory_and_a_looping_link_are_errors_that_name_them(folder: Path) -> None:
    (folder / "loop").mkdir()
    (folder / "loop" / "A").symlink_to("A")
    (folder / "sub" / "inner").mkdir(parents=True)
    assert b"sub/inner: is a directory" in both("sub", "true", cwd=folder).err
    assert b"loop/A: symbolic link loop" in both("loop", "true", cwd=folder).err


def test_a_dangling_link_is_an_empty_file(folder: Path) -> None:
    (folder / "A").symlink_to("nowhere")
    assert both(folder, "sh", "-c", "echo ${A-unset}", env={"A": "1"}).out == b"unset\n"


def test_a_fifo_is_an_empty_file(folder: Path) -> None:
    run(["mkfifo", folder / "A"])
    assert both(folder, "sh", "-c", "echo ${A-unset}", env={"A": "1"}).out == b"unset\n"


@pytest.mark.root
def test_what_an_account_may_not_read_is_an_error_that_names_it(folder: Path) -> None:
    (folder / "file").mkdir()
    (folder / "file" / "A").touch(mode=0o600)
    (folder / "closed").mkdir(mode=0o711)
    (folder / "locked").mkdir(mode=0o700)
    for name, text in (
        ("file", b"unable to read file/A: access denied\n"),
        ("closed", b"unable to read directory closed: access denied\n"),
        ("locked", b"unable to switch to directory locked: access denied\n"),
    ):
        theirs = run([original("setuidgid"), "nobody", original("envdir"), name, "true"], cwd=folder)
        assert (theirs.code, theirs.err) == (111, b"envdir: fatal: " + text)
        assert run([sys.executable, "-c", AS_NOBODY, "envdir", name, "true"], cwd=folder) == theirs


def test_a_path_in_the_directory_is_the_childs_not_the_search_for_it(folder: Path) -> None:
    (folder / "PATH").write_bytes(b"/nonexistent\n")
    for program in (original("envdir"), ours("envdir")):
        assert b"PATH=/nonexistent" in variables(run([program, folder, "env", "-0"]).out)


def test_the_childs_exit_code_and_the_current_directory_are_the_same(folder: Path) -> None:
    assert both(".", "sh", "-c", "pwd; exit 7", cwd=folder) == Result(7, str(folder).encode() + b"\n", b"")
