"""The documentation is whole: it builds without a warning, is as the code says, and leaves nothing out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.harness import BIN, run

sys.path.append(str(Path(__file__).parents[2] / "docs"))
import diagrams

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "svtree").rglob("*.py"))
CONTROL = re.compile(r"controls\.(?:read|line|lines|number|line_or_me|lines_or_me)\(\s*\"([a-z0-9.]+)\"")
ENVIRONMENT = re.compile(
    r"environ(?:\.get\(|\[)\s*b\"([A-Z][A-Z0-9_]+)\"|b\"([A-Z][A-Z0-9_]+)\" (?:not )?in (?:self\.)?_?environ\b"
)
# What a delivery's own program is given or what every Unix program knows.
ELSEWHERE = {"PATH", "HOME", "TZ"}


def test_the_site_builds_without_a_warning_and_has_every_manual_page(folder: Path) -> None:
    built = run(
        [BIN / "sphinx-build", "-n", "-W", "--keep-going", "-q", "-b", "html", DOCS, folder / "site"], timeout=120
    )
    assert not built.err, built.err.decode()
    assert built.code == 0
    index = (folder / "site" / "man.html").read_text()
    for each in PROGRAMS:
        name = each.name.replace("@", "%40")
        assert f'href="man/{name}.{each.section}.html"' in index, each.name
        assert each.purpose in index.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"), each.name
        assert (folder / "site" / "man" / f"{each.name}.{each.section}.html").exists()


@pytest.mark.parametrize("name", sorted(diagrams.pictures()))
def test_a_picture_is_as_the_tables_are(name: str) -> None:
    assert (DOCS / "pictures" / name).read_text() == diagrams.pictures()[name], "make it again: docs/diagrams.py"


def test_every_control_file_that_is_read_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "control-files.rst").read_text()
    read = {name for path in SOURCES for name in CONTROL.findall(path.read_text())}
    assert len(read) > 20
    assert not sorted(name for name in read if f"``{name}``" not in page)


def test_every_variable_that_is_heeded_is_in_the_reference() -> None:
    page = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", (DOCS / "reference" / "environment.rst").read_text()))
    heeded = {one or two for path in SOURCES for one, two in ENVIRONMENT.findall(path.read_text())}
    assert len(heeded) > 40
    assert not sorted(heeded - page - ELSEWHERE)
