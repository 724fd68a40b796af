from __future__ import annotations

from pathlib import Path

import pytest

from svtree.program import Chain, Fatal, UsageError
from svtree.supervision.programs import envdir
from tests.harness import ours, run


def test_it_returns_the_chain_with_the_changed_environment_and_leaves_its_own_alone(folder: Path) -> None:
    (folder / "A").write_bytes(b"new\n")
    (folder / "B").write_bytes(b"")
    before = {b"A": b"old", b"B": b"2", b"PATH": b"/bin"}
    chain = envdir.main([b"envdir", str(folder).encode(), b"next", b"word"], before)
    assert chain == Chain((b"next", b"word"), {b"A": b"new", b"PATH": b"/bin"}, b"/bin")
    assert before == {b"A": b"old", b"B": b"2", b"PATH": b"/bin"}


def test_a_first_line_without_end_is_refused_and_one_with_an_end_is_not(folder: Path) -> None:
    (folder / "A").write_bytes(b"short\n" + b"x" * (3 << 20))
    assert envdir.main([b"envdir", str(folder).encode(), b"next"], {}).environ == {b"A": b"short"}
    (folder / "B").symlink_to("/dev/zero")
    with pytest.raises(Fatal, match="B: file too big"):
        envdir.main([b"envdir", str(folder).encode(), b"next"], {})


def test_usage_exits_111_as_the_original(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        envdir.main([b"envdir", b"dir"], {})
    assert caught.value.code == 111


def test_a_chain_of_envdirs_is_one_environment(folder: Path) -> None:
    for name, data in (("one", b"1\n"), ("two", b"")):
        (folder / name).mkdir()
        (folder / name / "A").write_bytes(data)
    command: list[str | bytes | Path] = [
        ours("envdir"),
        folder / "one",
        ours("envdir"),
        folder / "two",
        "sh",
        "-c",
        "echo ${A-unset}",
    ]
    assert run(command).out == b"unset\n"
