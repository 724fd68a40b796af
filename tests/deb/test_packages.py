"""The packages as they are built."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from svtree.registry import PROGRAMS
from tests.deb.debian import administer, build, needed, packages

pytestmark = pytest.mark.deb


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.deb")}


def names(package: str) -> set[str]:
    (path,) = packages().glob(f"{package}_*.deb")
    lines = administer(["dpkg-deb", "--contents", path]).out.decode().splitlines()
    return {line.split(maxsplit=5)[5].split(" -> ")[0].removeprefix(".") for line in lines}


def test_two_builds_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    first = digests(packages())
    build(tmp_path)
    assert len(first) == 3
    assert digests(tmp_path) == first


def test_lintian_says_nothing() -> None:
    needed("lintian")
    (changes,) = packages().glob("*.changes")
    levels = "error,warning,info,pedantic"
    done = administer(["lintian", "--allow-root", "--pedantic", "--fail-on", levels, changes], seconds=900)
    assert (done.code, done.out) == (0, b"")


def test_every_program_is_in_the_private_directory_and_has_its_page() -> None:
    everything = names("svtree") | names("svtree-commands") | names("svtree-mail")
    for program in PROGRAMS:
        assert f"/usr/libexec/svtree/bin/{program.name}" in everything
        assert f"/usr/share/man/man{program.section}/{program.name}.{program.section}.gz" in everything


def test_the_base_package_has_nothing_that_another_package_may_have() -> None:
    ours = {name for name in names("svtree") if not name.endswith("/")}
    assert {name for name in ours if name.startswith(("/usr/bin", "/usr/sbin", "/usr/lib/"))} == {"/usr/sbin/svtree"}
    assert "/usr/sbin/sendmail" in names("svtree-mail")
    assert {"/usr/bin/svc", "/usr/bin/tcpserver"} < names("svtree-commands")
