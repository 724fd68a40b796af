"""The documentation is whole: it builds without a warning, is as the code says, and leaves nothing out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.docs.blocks import blocks
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
NAME = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
ACRONYMS = {"DNS", "TLS", "UDP", "IP", "PID", "SMTP", "UTC"}
# What a delivery's own program is given or what every Unix program knows.
ELSEWHERE = {"PATH", "HOME", "TZ"}


def test_the_site_builds_without_a_warning_and_has_every_manual_page(folder: Path) -> None:
    built = run(
        [BIN / "sphinx-build", "-n", "-W", "--keep-going", "-q", "-b", "html", DOCS, folder / "site"], timeout=600
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


def test_the_guide_to_containers_types_what_the_recipe_says() -> None:
    recipe = (ROOT / "packaging" / "Containerfile").read_text()
    (block,) = (each for each in blocks(DOCS / "howto" / "container.rst") if each.why)
    for command in block.commands():
        assert command.text.split("\n")[0] in recipe, command.text


def test_every_control_file_that_is_read_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "control-files.rst").read_text()
    read = {name for path in SOURCES for name in CONTROL.findall(path.read_text())}
    assert len(read) > 20
    assert not sorted(name for name in read if f"``{name}``" not in page)


def test_every_control_file_of_the_reference_is_one_that_is_read() -> None:
    page = (DOCS / "reference" / "control-files.rst").read_text()
    sources = "".join(path.read_text() for path in SOURCES)
    named = re.findall(r"^``([a-z0-9.]+)``", page, re.MULTILINE)
    assert len(named) > 30
    assert not [name for name in named if f'"{name}"' not in sources]


def test_every_variable_of_a_manual_page_is_in_the_reference() -> None:
    page = set(NAME.findall((DOCS / "reference" / "environment.rst").read_text()))
    missing = {}
    for manual in sorted(DOCS.glob("man/*.rst")):
        section = re.search(
            r"^ENVIRONMENT\n=+\n(.*?)(?=^[A-Z][A-Z ,]+\n=+\n)", manual.read_text(), re.MULTILINE | re.DOTALL
        )
        told = [line for line in section[1].splitlines() if line[:1].strip()] if section else []
        missing[manual.stem] = {name for line in told for name in NAME.findall(line)} - page - ELSEWHERE - ACRONYMS
    assert len(missing) == len(PROGRAMS)
    assert not {name: names for name, names in missing.items() if names}


def test_every_variable_that_is_heeded_is_in_the_reference() -> None:
    page = set(NAME.findall((DOCS / "reference" / "environment.rst").read_text()))
    heeded = {one or two for path in SOURCES for one, two in ENVIRONMENT.findall(path.read_text())}
    assert len(heeded) > 40
    assert not sorted(heeded - page - ELSEWHERE)
