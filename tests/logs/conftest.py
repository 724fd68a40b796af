"""Reading a log directory back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Contents = Callable[[Path], bytes]


@pytest.fixture
def contents() -> Contents:
    """All that is in a log directory, oldest first."""

    def read(directory: Path) -> bytes:
        names = sorted(path for path in directory.iterdir() if path.name.startswith("@"))
        return b"".join(path.read_bytes() for path in [*names, directory / "current"] if path.exists())

    return read
