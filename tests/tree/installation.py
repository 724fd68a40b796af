"""An installation that every account of the machine may run: what a test with several accounts needs.

The checkout's own environment may be out of their reach, below a home directory with mode 0700, say.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
# Set by the process that starts the workers; see tests/conftest.py.
RUN = "SVTREE_TEST_RUN"


def shared_bin() -> Path:
    """The directory of our programs in an installation made by `pip install .`, once for all workers of a test run."""
    python = next((each for each in (sys.executable, "/usr/bin/python3") if _open_to_all(each)), None)
    if python is None:
        pytest.skip("no Python 3.11 that other accounts may run")
    where = place(os.environ[RUN])
    with open(f"{where}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (where / ".made").exists():
            shutil.rmtree(where, ignore_errors=True)
            _make(python, where)
    return where / "bin"


def _make(python: str, where: Path) -> None:
    commands: tuple[list[str | Path], ...] = (
        [python, "-m", "venv", where],
        [where / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", ROOT],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            shutil.rmtree(where, ignore_errors=True)
            pytest.skip(f"unable to install into {where}: {done.stderr.decode(errors='replace')[-300:]}")
    where.chmod(0o755)
    (where / ".made").touch()


def place(run: str) -> Path:
    """Where the installation of the test run `run` is; not below the checkout, which others may not enter."""
    return Path(tempfile.gettempdir()) / f"svtree-installed-{run}"


def remove(run: str) -> None:
    """Take away what a test run has installed, and what stands beside under the same name."""
    name = place(run)
    for path in (name, *name.parent.glob(f"{name.name}.*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _open_to_all(python: str) -> bool:
    command = [python, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(command, user=NOBODY, group=NOBODY, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
