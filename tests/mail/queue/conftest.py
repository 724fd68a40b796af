from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Processes
from tests.mail.queue.post import Post


@pytest.fixture
def post(folder: Path, processes: Processes) -> Iterator[Post]:
    """A mail system that is not running yet; it is ended with the test."""
    made = Post(folder, processes)
    yield made
    if made.running is not None and made.running.poll() is None:
        made.stop()
