from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Processes
from tests.supervision.driver import Tree


@pytest.fixture
def tree(folder: Path, processes: Processes) -> Tree:
    """An empty tree; svscan is not running yet."""
    return Tree(folder, processes)
