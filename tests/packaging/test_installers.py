"""pip, pipx and uv install the same programs and the same manual pages, and chains are chains in each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.docs.blocks import blocks
from tests.harness import Result, Word, run
from tests.packaging.workshop import PATIENCE, ROOT, Workshop

pytestmark = pytest.mark.slow

INSTALLERS = ("pip", "pipx", "uv")
NAMES = sorted(each.name for each in PROGRAMS)
PAGES = sorted(f"man{each.section}/{each.name}.{each.section}" for each in PROGRAMS)
# What an environment has without us.
OTHERS = ("python", "pip", "activate", "Activate", "deactivate", "pydoc", "watchmedo")

RESOLVED = "import os, sys, svtree.multicall as m; print(m.resolve(os.fsencode(sys.argv[1]), os.environb))"


def install(workshop: Workshop, how: str, folder: Path) -> tuple[Path, Path]:
    """Install the wheel; the directory that would stand on PATH and the environment's own."""
    made, programs = folder / "made", folder / "bin"
    python = workshop.tool("python")
    offline = {**workshop.offline(), "UV_CACHE_DIR": str(folder / "cache"), "HOME": str(folder)}
    if how == "pip":
        done = run([python, "-m", "venv", made], timeout=PATIENCE)
        assert done.code == 0, done.err.decode()
        _succeed([made / "bin" / "pip", "install", "--quiet", workshop.wheel], offline)
        return made / "bin", made
    if how == "pipx":
        pages = {"PIPX_BIN_DIR": str(programs), "PIPX_MAN_DIR": str(folder / "man")}
        own = offline | pages | {"PIPX_HOME": str(made)}
        _succeed([workshop.tool("pipx"), "install", "--python", python, workshop.wheel], own)
        linked = folder / "man"
        assert sorted(str(page.relative_to(linked)) for page in linked.glob("man*/*")) == PAGES
        return programs, made / "venvs" / "svtree"
    own = offline | {"UV_TOOL_DIR": str(made), "UV_TOOL_BIN_DIR": str(programs)}
    find = ("--offline", "--no-index", "--find-links", workshop.wheels, "--python", python)
    _succeed([workshop.tool("uv"), "tool", "install", *find, workshop.wheel], own)
    return programs, made / "svtree"


def _succeed(command: list[Word], env: dict[str, str]) -> Result:
    done = run(command, env=env, timeout=PATIENCE)
    assert done.code == 0, done.out.decode() + done.err.decode()
    return done


@pytest.mark.parametrize("how", INSTALLERS)
def test_an_installer_brings_every_program_and_every_page(how: str, workshop: Workshop, folder: Path) -> None:
    programs, environment = install(workshop, how, folder)
    assert sorted(name for name in os.listdir(programs) if not name.startswith(OTHERS)) == NAMES
    manual = environment / "share" / "man"
    assert sorted(str(page.relative_to(manual)) for page in manual.glob("man*/*")) == PAGES
    path = {"PATH": f"{programs}:/usr/bin:/bin"}
    for name, said in (("svc", b"svc (svtree) "), ("date@", b"date@ (svtree) "), ("svtree", b"svtree (svtree) ")):
        assert run([programs / name, "--version"], env=path).out.startswith(said)
    # A program knows its neighbours for what they are: a chain of ours needs no exec.
    told = run([environment / "bin" / "python", "-c", RESOLVED, "qmail-smtpd"], env=path)
    assert told.out.startswith(b"Builtin("), told
    done = run([programs / "svtree", "programs"], env=path)
    assert len(done.out.splitlines()) >= len(NAMES)


def test_what_the_tutorial_types_installs_it(workshop: Workshop, folder: Path) -> None:
    """The README shows the second of its commands."""
    (block,) = (each for each in blocks(ROOT / "docs" / "tutorial.rst") if each.why)
    (short,) = (each for each in blocks(ROOT / "README.md") if "pip install" in each.body)
    typed = [each.text for each in block.commands()]
    assert [each.text for each in short.commands()] == ["pip install ."]
    assert typed[1].endswith("/pip install .")
    shutil.copytree(workshop.folder / "source", folder / "source", symlinks=True)
    done = run(
        ["sh", "-ec", "\n".join([*typed, "which tcpserver", "tcpserver || test $? -eq 100"])],
        cwd=folder / "source",
        env={**workshop.offline(), "HOME": str(folder), "PATH": f"{workshop.folder}/tools/bin:/usr/bin:/bin"},
        timeout=PATIENCE,
    )
    assert done.code == 0, done.err.decode()
    assert done.out.splitlines()[-1] == f"{folder}/svtree/bin/tcpserver".encode()
    assert done.err.startswith(b"tcpserver: usage: ")
