from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from svtree import multicall
from svtree.multicall import Builtin, Foreign
from svtree.program import Chain, Fatal, UsageError
from tests.harness import BIN, environment, ours, run


def encoded(path: Path | str) -> bytes:
    return os.fsencode(path)


def here(*before: Path) -> dict[bytes, bytes]:
    folders = [*before, BIN, Path("/usr/bin"), Path("/bin")]
    return {b"PATH": b":".join(encoded(each) for each in folders)}


def test_a_name_of_ours_on_path_is_built_in() -> None:
    assert multicall.resolve(b"envdir", here()) == Builtin("envdir")
    assert multicall.resolve(encoded(BIN / "envdir"), here()) == Builtin("envdir")


def test_a_foreign_program_first_on_path_takes_the_place_of_ours(folder: Path) -> None:
    foreign = folder / "qmail-smtpd"
    foreign.write_text("#!/bin/sh\necho foreign\n")
    foreign.chmod(0o755)
    assert multicall.resolve(b"qmail-smtpd", here(folder)) == Foreign(encoded(foreign))


def test_a_script_of_another_installation_is_not_built_in(folder: Path) -> None:
    other = folder / "envdir"
    other.write_text("#!/opt/other/bin/python3\nfrom svtree.multicall import run\nrun('envdir')\n")
    other.chmod(0o755)
    assert multicall.resolve(b"envdir", here(folder)) == Foreign(encoded(other))


def launcher(path: Path, *before: str) -> Path:
    interpreter = Path(sys.executable).parent / "python3"
    lines = [f"#!{interpreter} -I", *before, "from svtree.multicall import run", "run('envdir')"]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def test_a_launcher_that_says_where_the_package_is_is_ours_if_we_are_from_there(folder: Path) -> None:
    here_too = launcher(folder / "envdir", "import sys", f"sys.path.insert(0, {multicall.HOME!r})")
    assert multicall.resolve(b"envdir", here(folder)) == Builtin("envdir")
    launcher(folder / "envdir", "import sys", "sys.path.insert(0, '/usr/share/svtree/python')")
    assert multicall.resolve(b"envdir", here(folder)) == Foreign(encoded(here_too))


@pytest.mark.parametrize("private", [True, False])
def test_a_private_installation_does_not_take_a_public_one_for_itself(folder: Path, private: bool) -> None:
    public = launcher(folder / "envdir")
    code = (
        f"import sys; sys.path.insert(0, {multicall.HOME!r})\n"
        "from svtree import multicall\n"
        f"print(type(multicall.resolve({encoded(public)!r}, {{}})).__name__)\n"
    )
    done = run([sys.executable, *(["-I"] if private else []), "-c", code])
    assert done.out == (b"Foreign\n" if private else b"Builtin\n")


def test_what_is_not_executable_or_not_there_is_not_found(folder: Path) -> None:
    (folder / "plain").write_text("")
    (folder / "directory").mkdir()
    for name in (b"plain", b"directory", b"absent"):
        assert multicall.resolve(name, {b"PATH": encoded(folder)}) is None
    assert multicall.search(b"sh", {}) in (b"/bin/sh", b"/usr/bin/sh")


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (Fatal("unable to x"), 111, b"svc: fatal: unable to x\n"),
        (Fatal(b"bad \xff", 100), 100, b"svc: fatal: bad \xff\n"),
        (UsageError("svc: usage: svc"), 100, b"svc: usage: svc\n"),
        (
            UsageError("svc: usage: svc", "svc: illegal option -- z"),
            100,
            b"svc: illegal option -- z\nsvc: usage: svc\n",
        ),
        (FileNotFoundError(2, "x", b"/f\xff"), 111, b"svc: fatal: /f\xff: file does not exist\n"),
        (OSError(28, "x"), 111, b"svc: fatal: out of disk space\n"),
    ],
)
def test_what_a_program_raises_is_a_line_and_an_exit_code(
    raised: Exception,
    code: int,
    line: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def program(*_: object) -> int:
        raise raised

    monkeypatch.setattr(multicall, "load", lambda _: program)
    assert multicall.call("svc", [b"svc"], {}) == code
    assert capfdbinary.readouterr().err == line


def test_a_defect_of_ours_is_one_line_with_its_place(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    empty: list[int] = []
    monkeypatch.setattr(multicall, "load", lambda _: lambda *_: empty[0])
    assert multicall.call("svc", [b"svc"], {}) == 111
    line = capfdbinary.readouterr().err
    assert line.startswith(b"svc: fatal: internal error: IndexError: ")
    assert b"(test_multicall.py:" in line
    assert line.count(b"\n") == 1


def test_a_chain_of_ours_runs_in_one_process_and_leaves_it_by_exec(tmp_path: Path) -> None:
    (tmp_path / "VAR").write_text("value\n")
    folder = encoded(tmp_path)
    code = (
        "import os; from svtree.multicall import become\n"
        "print(os.getpid(), flush=True)\n"
        f"become([b'envdir', {folder!r}, b'envdir', {folder!r}, b'sh', b'-c', b'echo $$ $VAR'], dict(os.environb))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    first, second = done.stdout.splitlines()
    assert second == first + b" value"


def test_a_chain_whose_end_is_missing_says_so(tmp_path: Path) -> None:
    done = run([ours("envdir"), tmp_path, "no-such-program"])
    assert done.err == b"envdir: fatal: unable to run no-such-program: file does not exist\n"
    assert done.code == 111


def test_an_exec_restores_what_python_ignores(tmp_path: Path) -> None:
    done = run([ours("envdir"), tmp_path, "grep", "SigIgn", "/proc/self/status"])
    ignored = int(done.out.split()[1], 16)
    assert ignored & (1 << 12 | 1 << 24) == 0, "SIGPIPE and SIGXFSZ"


def test_a_chain_is_a_value() -> None:
    assert Chain((b"a",), {}) == Chain((b"a",), {})
