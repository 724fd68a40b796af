from __future__ import annotations

from pathlib import Path

import pytest

from tests.mail.delivery.home import Home


@pytest.fixture
def home(folder: Path) -> Home:
    """The home of the user joe."""
    return Home.make(folder)
