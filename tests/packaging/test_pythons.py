"""The wheel under each Python that it says it is for, where this machine has it: a part of the tests, run by that one.

The programs that those tests drive are the installed ones. Any deprecation that one of them meets is an error.
`make test-pythons` runs all of the tests with each.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Word, run
from tests.packaging.workshop import PATIENCE, ROOT, Workshop, fetch

pytestmark = pytest.mark.slow

VERSIONS = ("3.11", "3.12", "3.13")
# A mail server with live rules, commands to services, passwords without the module crypt, chains, every import, threads
# beside processes: whatever has changed between these Pythons has something to break here.
PART = (
    "tests/formats/test_cdb.py",
    "tests/formats/test_rules.py",
    "tests/formats/test_dates.py",
    "tests/formats/test_record.py",
    "tests/mail/test_passwords.py",
    "tests/mail/smtp/test_session.py",
    "tests/supervision/test_lifecycle.py",
    "tests/supervision/test_supervise.py::test_supervise_looks_after_one_service_and_no_logger",
    "tests/supervision/test_supervise.py::test_a_file_that_is_watched_restarts_the_service",
    "tests/test_multicall.py",
    "tests/test_program.py",
    "tests/tree/test_life.py::test_svc_takes_a_service_down_and_up",
    "tests/tree/test_life.py::test_term_takes_the_tree_down_and_leaves_no_process",
    "tests/tree/test_mail.py::test_a_message_goes_in_by_smtp_and_comes_out_by_pop3",
    "tests/tree/test_rules.py::test_rules_that_do_not_compile_change_nothing_and_are_shown_until_mended",
)
EVERY_PROGRAM = """
from importlib import import_module
from svtree.registry import PROGRAMS
for each in PROGRAMS:
    import_module(each.module).main
"""


def python(version: str, workshop: Workshop) -> Path:
    """That Python's interpreter: on PATH, among pyenv's, in the usual directories, or one that uv manages."""
    for path in _candidates(version, workshop):
        asked = run([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        if (asked.code, asked.out.strip()) == (0, version.encode()):
            return path
    pytest.skip(f"no Python {version} on this machine")


def _candidates(version: str, workshop: Workshop) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
    if pyenv := shutil.which("pyenv"):
        root = Path(os.fsdecode(fetch([pyenv, "root"]).out.strip()))
        yield from sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    yield from (
        path for folder in ("/usr/bin", "/usr/local/bin") if (path := Path(folder, f"python{version}")).exists()
    )
    managed = run([workshop.tool("uv"), "python", "find", "--no-python-downloads", "--offline", version])
    if managed.code == 0:
        yield Path(os.fsdecode(managed.out.strip()))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_part_of_the_tests_passes_with(version: str, workshop: Workshop, folder: Path) -> None:
    uv, made = workshop.tool("uv"), folder / "made"
    cache = {"UV_CACHE_DIR": str(folder / "cache")}
    itself = made / "bin" / "python"
    commands: tuple[list[Word], ...] = (
        [uv, "venv", "--quiet", "--offline", "--python", python(version, workshop), made],
        [
            *(uv, "pip", "install", "--quiet", "--offline", "--no-index", "--find-links", workshop.wheels),
            *("--python", itself, workshop.wheel),
        ],
    )
    for command in commands:
        done = run(command, env=cache, timeout=PATIENCE)
        assert done.code == 0, done.err.decode()
    imported = run([itself, "-W", "error", "-c", EVERY_PROGRAM])
    assert imported.code == 0, imported.err.decode()
    tools = fetch([workshop.tool("pip"), "--python", itself, "install", "--quiet", "hypothesis", "pytest"])
    if tools.code:
        pytest.skip(f"no pytest for Python {version}: {tools.err.decode(errors='replace')[-300:]}")
    done = run(
        [itself, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *PART],
        cwd=ROOT,
        env={"PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=PATIENCE,
    )
    assert done.code == 0, done.out.decode()[-6000:] + done.err.decode()[-2000:]
