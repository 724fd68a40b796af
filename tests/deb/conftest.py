"""What is shared by the tests of the Debian packages. Machines live as long as a module's tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind() -> None:
    """The machine that a module's tests share outlives each of them; its namespaces leave nothing when it ends."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for a module's machine."""
    return tmp_path_factory.mktemp("machine")
