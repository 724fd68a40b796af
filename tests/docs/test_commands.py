"""Every command that the documentation shows is run, page by page, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.reader import Reader

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.rst")),
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "howto").glob("*.rst")),
        *sorted((ROOT / "docs" / "reference").glob("*.rst")),
    )
    if any(True for _ in blocks(page))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_says_what_happens(page: Path, folder: Path) -> None:
    home = folder / "jiro"
    home.mkdir()
    reader = Reader(home)
    try:
        for block in blocks(page):
            if not block.why:
                reader.read(block)
    finally:
        reader.end()
