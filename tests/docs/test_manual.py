"""The examples of the manual pages: each is a command that a shell takes, and each is run, as root would run it.

So is what guides have root type, and test_commands.py therefore leaves out.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from importlib.metadata import files
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.docs.blocks import blocks
from tests.docs.machine import ROOT, machine
from tests.harness import BIN, environment, run

PAGES = sorted((ROOT / "docs" / "man").glob("*.rst"))
SECTION = re.compile(r"^EXAMPLES?\n=+\n(.*?)(?=^[A-Z][A-Z ,]+\n=+\n|\Z)", re.MULTILINE | re.DOTALL)
LITERAL = re.compile(r"::\n\n((?: +.*\n|\n)+)")
NAMES = {each.name for each in PROGRAMS}
# What a shell line of a page may begin with that is not a program of ours.
OTHERS = {"cd", "df", "echo", "exec", "mkdir", "printf"}
# Ids that the reader looks up: those of qmaild and nofiles in machine.sh.
LOOKED_UP = re.compile(r"-u (?:UID|QMAILD) -g (?:GID|NOFILES)\b")
# Nobody types these: qmail-start does.
STARTED = {f"{name}.8" for name in ("qmail-clean", "qmail-lspawn", "qmail-queued", "qmail-rspawn", "qmail-send")}
# Scenes by name, and what stands before each.
PRELUDE, *_named = re.split(r"^#### (.+)\n", Path(__file__).with_name("scenes.sh").read_text(), flags=re.MULTILINE)
SCENES = dict(zip(_named[::2], _named[1::2], strict=True))
PATIENCE = 300.0


def examples(page: Path) -> list[str]:
    section = SECTION.search(page.read_text())
    return [textwrap.dedent(block).strip() for block in LITERAL.findall(section[1])] if section else []


def commands(block: str) -> str:
    """The part of an example that a shell reads: a script, a .qmail line's program, what follows a prompt, or ""."""
    lines = block.splitlines()
    if any(line.startswith("$ ") for line in lines):
        return "\n".join(line[2:] for line in lines if line.startswith("$ "))
    if lines[0].startswith("|"):
        return "\n".join(line[1:] for line in lines if line.startswith("|"))
    words = [word.lstrip("(") for word in lines[0].split() if not re.match(r"[A-Z_]+=", word)]
    name = words[0].rstrip(";") if words else ""
    return block if block.startswith("#!") or name in NAMES | OTHERS else ""


SHELL = [(page.stem, text) for page in PAGES for block in examples(page) if (text := commands(block))]


@pytest.mark.parametrize(("page", "text"), SHELL, ids=[page for page, _ in SHELL])
def test_an_example_is_shell(page: str, text: str) -> None:
    checked = run(["sh", "-n"], stdin=text.encode() + b"\n")
    assert (checked.code, checked.err) == (0, b""), f"{page}: {text}"


def test_every_page_has_an_example_and_every_example_a_scene() -> None:
    assert {page.stem for page in PAGES if not examples(page)} == STARTED
    named = {name.partition(" ")[0] for name in SCENES if not name.startswith("howto/")}
    assert {page.stem for page in PAGES} - STARTED == named
    for page in PAGES:
        played = " ".join(text for name, text in SCENES.items() if name.partition(" ")[0] == page.stem)
        assert not [place for place in range(1, len(files_of(page)) + 1) if f"$E{place}" not in played], page.stem


def files_of(page: Path) -> list[str]:
    """The files that a scene is given: each example; of a transcript, what is typed and then what is printed.

    Of a guide, the commands of each block that is not run where the others are.
    """
    found = []
    if page.parent.name == "howto":
        typed = ("\n".join(each.text for each in block.commands()) for block in blocks(page) if block.why)
        return [LOOKED_UP.sub("-u 7791 -g 2108", text) for text in typed]
    for block in examples(page):
        if block.startswith("$ "):
            found.append(commands(block))
            printed = [line for line in block.splitlines() if not line.startswith("$ ")]
            found += ["\n".join(printed)] if printed else []
        else:
            found.append(LOOKED_UP.sub("-u 7791 -g 2108", block))
    return found


@pytest.mark.root
@pytest.mark.parametrize("name", SCENES)
def test_an_example_does_what_it_is_for(name: str, folder: Path) -> None:
    where = name.partition(" ")[0]
    page = ROOT / "docs" / (where if "/" in where else f"man/{where}")
    page = page.with_name(f"{page.name}.rst")
    given = []
    for number, text in enumerate(files_of(page)):
        given.append(folder / f"example-{number + 1}")
        given[-1].write_text(text + "\n")
    told = folder / "scene"
    told.write_text(PRELUDE + SCENES[name])
    own = {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    done = run(machine(folder, ["bash", told, *given]), env=own, timeout=PATIENCE)
    assert done.code == 0, f"{SCENES[name]}\n{done.out.decode(errors='replace')}\n{done.err.decode(errors='replace')}"


def test_the_package_brings_every_manual_page_to_where_man_looks() -> None:
    installed = {os.path.realpath(each.locate()) for each in files("svtree") or () if "share/man" in str(each)}
    wanted = {f"{BIN.parent}/share/man/man{each.section}/{each.name}.{each.section}" for each in PROGRAMS}
    assert {os.path.realpath(path) for path in wanted} <= installed
    for path in wanted:
        assert Path(path).read_text().startswith(('.\\"', "'\\\"")), path
    assert environment()["PATH"].startswith(str(BIN)), "man finds share/man beside the bin of PATH"
