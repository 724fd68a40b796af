from __future__ import annotations

from pathlib import Path

import pytest

from tests.mail.delivery.home import Home
from tests.mail.delivery.outgoing import Qmail


@pytest.fixture
def home(folder: Path) -> Home:
    """The home of the user joe."""
    return Home.make(folder)


@pytest.fixture
def qmail(folder: Path) -> Qmail:
    """A qmail directory of the host here.example."""
    (folder / "control").mkdir()
    made = Qmail(folder)
    made.control("me", "here.example\n")
    return made
