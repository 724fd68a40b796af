"""The wheel and the source distribution: what is in them, and what they say of themselves."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser

import pytest

from svtree import __version__
from svtree.registry import PROGRAMS
from tests.harness import run
from tests.packaging.workshop import PATIENCE, ROOT, Workshop

pytestmark = pytest.mark.slow

CLASSIFIED = re.compile(r"Programming Language :: Python :: (3\.\d+)")


@pytest.fixture
def metadata(workshop: Workshop) -> Message:
    with zipfile.ZipFile(workshop.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(wheel.read(name))


def test_a_wheel_of_the_source_distribution_is_complete(workshop: Workshop) -> None:
    with zipfile.ZipFile(workshop.wheel) as wheel:
        names = {name.partition(".data/")[2] or name for name in wheel.namelist()}
    for program in PROGRAMS:
        assert f"scripts/{program.name}" in names
        assert f"data/share/man/man{program.section}/{program.name}.{program.section}" in names
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "svtree").rglob("*.py")}
    assert modules <= names
    assert {"svtree/py.typed", "svtree/cli/templates/smtpd/run"} < names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "bench/"))]


def test_the_source_distribution_has_what_builds_tests_and_explains(workshop: Workshop) -> None:
    source = workshop.folder / "source"
    given = {path.relative_to(source).as_posix() for path in source.rglob("*") if not path.is_dir()}
    with tarfile.open(workshop.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held - given == {"PKG-INFO"}
    assert {name.partition("/")[0] for name in given - held} <= {".ci"}
    assert {"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "docs/tutorial.rst", "tests/harness.py"} < held


def test_what_they_say_of_themselves_is_whole(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("svtree", __version__)
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "svtree init" in str(metadata.get_payload())
    for field in ("Summary", "Author", "Maintainer", "Keywords"):
        assert metadata[field], field
    needed = {each.split(">")[0] for each in metadata.get_all("Requires-Dist", []) if "extra" not in each}
    assert needed == {"click", "dnspython", "psutil", "watchdog"}


def test_the_pythons_they_name_are_those_that_are_tested(metadata: Message) -> None:
    from tests.packaging.test_pythons import VERSIONS

    classifiers = metadata.get_all("Classifier", [])
    assert [match[1] for each in classifiers if (match := CLASSIFIED.fullmatch(each))] == list(VERSIONS)
    assert metadata["Requires-Python"] == f">={VERSIONS[0]}"
    assert "Typing :: Typed" in classifiers


def test_a_registry_would_take_them(workshop: Workshop) -> None:
    done = run(
        [workshop.tool("twine"), "check", "--strict", workshop.wheel, workshop.sdist],
        env={"NO_COLOR": "1"},
        timeout=PATIENCE,
    )
    assert done.code == 0, done.out.decode()
    assert done.out.count(b"PASSED") == 2


def test_the_package_imports_nothing_that_it_does_not_ask_for() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        needs = tomllib.load(file)["project"]["dependencies"]
    # dnspython's package is called dns.
    asked = {re.split("[>=<]", each)[0].removesuffix("python") for each in needs}
    imported: set[str] = set()
    for path in (ROOT / "svtree").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert {"click", "dns", "watchdog"} <= imported
    assert not imported - sys.stdlib_module_names - asked - {"svtree"}
