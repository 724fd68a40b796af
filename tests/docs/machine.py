"""A machine of one's own, for what a page has root do: port 25, /service, accounts. See machine.sh."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.harness import BIN, Word, run

ROOT = Path(__file__).parents[2]
SETUP = Path(__file__).with_name("machine.sh")
NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child")


def machine(folder: Path, command: Iterable[Word]) -> list[Word]:
    """Words that run `command` in a machine of its own, in which `folder` is as it is here; skips if not allowed."""
    if os.geteuid():
        pytest.skip("only root makes a machine")
    if missing := [name for name in ("unshare", "ip", "chroot") if shutil.which(name) is None]:
        pytest.skip(f"a machine needs {' and '.join(missing)}")
    place = folder / "machine"
    place.mkdir(exist_ok=True)
    # Our programs, the source that they import, and their interpreter.
    shown = sorted({folder, ROOT, BIN.parent, Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parents[1]})
    shown = [path for path in shown if not path.is_relative_to("/usr")]
    words: list[Word] = [*NAMESPACES, "sh", SETUP, place, BIN, *shown, "--"]
    tried = run([*words, "true"])
    if tried.code:
        pytest.skip(f"no machine can be made here: {tried.err.decode(errors='replace').strip()[-200:]}")
    return [*words, *command]
