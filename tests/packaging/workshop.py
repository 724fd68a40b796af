"""What the tests of distributions share: the wheel and the source distribution of this tree, and tools from a registry.

They are made once for all workers of a test run. After `workshop()` nothing more is fetched: what installs the wheel
finds its dependencies in a folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import Result, Word, run
from tests.tree.installation import RUN, place

ROOT = Path(__file__).parents[2]
TOOLS = ("build", "pipx", "twine", "uv")
# Fetching and building take seconds; this ends a wait in vain.
PATIENCE = 600.0


@dataclass(frozen=True)
class Workshop:
    """A folder with everything in it."""

    folder: Path

    def tool(self, name: str) -> Path:
        """A program of the tools' own environment."""
        return self.folder / "tools" / "bin" / name

    @property
    def wheels(self) -> Path:
        """Where every dependency is found."""
        return self.folder / "wheels"

    @property
    def wheel(self) -> Path:
        """The wheel, which has been built from the source distribution."""
        (made,) = (self.folder / "dist").glob("*.whl")
        return made

    @property
    def sdist(self) -> Path:
        """The source distribution."""
        (made,) = (self.folder / "dist").glob("*.tar.gz")
        return made

    def offline(self) -> dict[str, str]:
        """The variables by which pip, whoever starts it, looks nowhere else."""
        return {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}


def workshop() -> Workshop:
    """The workshop of this test run; skips the test, with the reason, where there is no registry or no git."""
    where = Path(f"{place(os.environ[RUN])}.workshop")
    refusal = where / "refusal"
    with open(f"{where}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not where.exists():
            where.mkdir()
            refusal.write_text("its making failed in another test")
            refusal.write_text(_equip(where) or _build(where))
    if reason := refusal.read_text():
        pytest.skip(reason)
    return Workshop(where)


def _equip(where: Path) -> str:
    """Fetch the tools, and what the distributions name as their needs; why not, if not."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        told = tomllib.load(file)
    needs = [*told["build-system"]["requires"], *told["project"]["dependencies"]]
    pip = where / "tools" / "bin" / "pip"
    commands: tuple[list[Word], ...] = (
        [sys.executable, "-m", "venv", where / "tools"],
        [pip, "install", "--quiet", *TOOLS],
        [pip, "wheel", "--quiet", "--wheel-dir", where / "wheels", *needs],
    )
    for command in commands:
        done = fetch(command)
        if done.code:
            return f"no tools to build and install with: {done.err.decode(errors='replace')[-300:]}"
    return ""


def _build(where: Path) -> str:
    """Build both distributions from the files that git knows or would take; why not, if not."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        return "no git repository to take the sources from"
    for name in filter(None, listed.stdout.split(b"\0")):
        source, target = os.path.join(os.fsencode(ROOT), name), os.path.join(os.fsencode(where / "source"), name)
        if os.path.lexists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    made = Workshop(where)
    done = run(
        [made.tool("python"), "-m", "build", "--outdir", where / "dist", where / "source"],
        env=made.offline(),
        timeout=PATIENCE,
    )
    assert done.code == 0, done.out.decode() + done.err.decode()
    return ""


def fetch(command: list[Word]) -> Result:
    """Run what may ask a registry, as whoever runs the tests has set that up."""
    return run(command, env=dict(os.environ), timeout=PATIENCE)
