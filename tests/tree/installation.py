"""An installation that every account of the machine may run: what a test with several accounts needs.

The checkout's own environment may be out of their reach, below a home directory with mode 0700, say.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def shared_bin() -> Path:
    """The directory of our programs in an installation made by `pip install .`; made once, for the same sources."""
    python = next((each for each in (sys.executable, "/usr/bin/python3") if _open_to_all(each)), None)
    if python is None:
        pytest.skip("no Python 3.11 that other accounts may run")
    where = Path(tempfile.gettempdir()) / f"svtree-installed-{_digest()}"
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


def _digest() -> str:
    """Of every file that is installed."""
    found = hashlib.sha256()
    for folder in ("svtree", "service", "packaging"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(bytes(path.relative_to(ROOT)) + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def _open_to_all(python: str) -> bool:
    command = [python, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
    try:
        return subprocess.run(command, user=NOBODY, group=NOBODY, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
