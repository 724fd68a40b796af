"""Every command that the documentation shows is run, page by page, and prints what the page shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.reader import Reader
from tests.harness import BIN, run

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst")), *sorted((ROOT / "docs").glob("*.md"))]
SOURCES += [*sorted((ROOT / "docs").glob("howto/*")), *sorted((ROOT / "docs").glob("reference/*"))]
PAGES = [page for page in SOURCES if any(True for _ in blocks(page))]


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


def test_what_cannot_be_run_everywhere_says_why_and_is_little() -> None:
    left_out = [block for page in PAGES for block in blocks(page) if block.why]
    assert [block.place for block in left_out if block.why == "unsaid"] == []
    pages = Counter(block.page.name for block in left_out)
    assert pages == {"README.md": 2, "container.rst": 1, "debian.rst": 3, "pop-before-smtp.rst": 1, "tutorial.rst": 1}


def test_the_demonstration_of_make_run_succeeds(folder: Path) -> None:
    done = run([BIN / "svtree", "demo", "--once", folder / "demo"], timeout=300)
    assert done.code == 0, done.out.decode() + done.err.decode()


def test_no_block_of_commands_escapes() -> None:
    """What looks like a block of commands and is not found as one would never be run."""
    for page in SOURCES:
        text = page.read_text()
        shown = len([line for line in text.splitlines() if line.startswith(("$ ", "   $ "))])
        found = sum(len(block.commands()) for block in blocks(page) if not block.file)
        assert shown == found, page.name


def test_what_a_page_shows_wrongly_is_noticed(folder: Path) -> None:
    """The test above would be worth nothing otherwise."""
    home = folder / "jiro"
    home.mkdir()
    page = folder / "page.rst"
    page.write_text("\n.. code-block:: console\n\n   $ printf 'one\\ntwo\\n'\n   one\n   three\n")
    reader = Reader(home)
    try:
        with pytest.raises(AssertionError, match=r"page\.rst:4"):
            reader.read(*blocks(page))
        page.write_text("\n.. code-block:: console\n\n   $ printf 'one\\ntwo\\n'\n   ...\n   two\n")
        reader.read(*blocks(page))
    finally:
        reader.end()
