"""Every program that is declared has all a program needs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS, Program
from tests.harness import ours, run

ROOT = Path(__file__).parents[1]
# Long-running or interactive: these may import what they like.
UNBUDGETED = {
    *("svtree", "svscan", "supervise", "tcpserver"),
    *("qmail-start", "qmail-send", "qmail-queued", "qmail-remote"),
}
DEAR = {
    "dataclasses",
    "typing",
    "inspect",
    "asyncio",
    "argparse",
    "click",
    "psutil",
    "watchdog",
    "logging",
    "ssl",
    "dns",
}

each_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def test_names_and_modules_are_declared_once() -> None:
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS)
    assert len({program.module for program in PROGRAMS}) == len(PROGRAMS)


@each_program
def test_a_program_has_a_main_a_usage_text_and_a_purpose(program: Program) -> None:
    module = importlib.import_module(program.module)
    assert callable(module.main)
    assert module.USAGE.startswith(program.name)
    assert (module.__doc__ or "").startswith(f"{program.name}: ")
    assert program.purpose[0].islower()
    assert not program.purpose.endswith(".")


@each_program
def test_a_program_has_a_manual_page(program: Program) -> None:
    text = (ROOT / "docs" / "man" / f"{program.name}.{program.section}.rst").read_text()
    more = ("OPTIONS", "FILES", "SIGNALS", "EXAMPLES") if program.suite == "daemontools" else ()
    for heading in ("SYNOPSIS", "DESCRIPTION", "EXIT CODES", *more):
        assert f"\n{heading}\n" in text
    assert f"\n{program.purpose}\n" in text


@each_program
def test_a_program_is_installed_and_introduces_itself(program: Program) -> None:
    helped = run([ours(program.name), "--help"])
    assert helped.code == 0
    assert program.name.encode() in helped.out
    assert helped.err == b""
    assert run([ours(program.name), "--version"]).out.startswith(f"{program.name} (svtree) ".encode())


@each_program
def test_a_small_program_imports_little(program: Program) -> None:
    if program.name in UNBUDGETED:
        pytest.skip("long-running or interactive")
    code = f"import sys, {program.module}; print(*sorted({DEAR!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert done.stdout == b"\n"
