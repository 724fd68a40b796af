"""The source distribution builds, and the wheel that is built of it has every program and its page."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.harness import run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUILDING = 120.0


def build(hatchling: Path, source: Path, target: str) -> Path:
    """Build in a directory; the one file that comes of it."""
    done = run([hatchling, "build", "-t", target, "-d", source / "made"], cwd=source, timeout=BUILDING)
    assert done.code == 0, done.err.decode()
    (made,) = (source / "made").iterdir()
    return made


def test_a_wheel_of_the_source_distribution_is_complete(tmp_path: Path) -> None:
    exported = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], capture_output=True, check=False)
    if exported.returncode:
        pytest.skip("no git repository to export from")
    run([sys.executable, "-m", "venv", tmp_path / "venv"], timeout=BUILDING)
    programs = tmp_path / "venv" / "bin"
    done = run([programs / "pip", "install", "--quiet", "hatchling", "docutils"], timeout=BUILDING)
    if done.code:
        pytest.skip("pip has no hatchling for us")
    source, unpacked = tmp_path / "source", tmp_path / "unpacked"
    source.mkdir()
    subprocess.run(["tar", "-x", "-C", source], input=exported.stdout, check=True)
    with tarfile.open(build(programs / "hatchling", source, "sdist")) as archive:
        archive.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    with zipfile.ZipFile(build(programs / "hatchling", folder, "wheel")) as wheel:
        names = {name.partition(".data/")[2] or name for name in wheel.namelist()}
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(wheel.read(metadata))
    for program in PROGRAMS:
        assert f"scripts/{program.name}" in names
        assert f"data/share/man/man{program.section}/{program.name}.{program.section}" in names
    assert {"svtree/py.typed", "svtree/cli/templates/smtpd/run"} < names
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == ">=3.11"
    assert {each.split(">")[0] for each in told.get_all("Requires-Dist", []) if "extra" not in each} == {
        *("click", "dnspython", "psutil", "watchdog")
    }
