"""multilog beside the original: same input, same files, modes, contents (stamps masked), texts and exit codes."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.harness import DEADLINE, Processes, Result, original, ours, run, until

pytestmark = pytest.mark.oracle
STAMP = re.compile(rb"@4[0-9a-f]{23}")
SOME = b"one\ntwo\n\nthree fatal: x\n" + bytes(range(1, 10)) + bytes(range(11, 256)) + b"\n\0nul\0\n"
LONG = b"".join(
    b"%d:" % n + b"x" * n + b"\n" for n in (170, 196, 197, 198, 199, 200, 201, 970, 974, 997, 998, 1000, 1001, 5000)
)
MANY = b"".join(b"%06d %s\n" % (n, b"y" * (n % 70)) for n in range(4000))


def mask(data: bytes) -> bytes:
    return STAMP.sub(b"@STAMP", data)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file: its name with the stamp masked, mode, contents."""
    found = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = mask(str(path.relative_to(folder)).encode()).decode()
        found[name] = (stat.S_IMODE(path.stat().st_mode), mask(path.read_bytes()))
    return found


def logged(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every log directory as its mode and all it holds; where one log ends and the next begins is left out."""
    found = {}
    for lock in folder.rglob("lock"):
        names = sorted(path for path in lock.parent.iterdir() if path.name.startswith("@"))
        data = b"".join(path.read_bytes() for path in [*names, lock.parent / "current"])
        found[str(lock.parent.relative_to(folder))] = (stat.S_IMODE(lock.parent.stat().st_mode), mask(data))
    return found


def both(folder: Path, *script: str, stdin: bytes = b"") -> list[tuple[Result, Path]]:
    results = []
    for name, program in (("theirs", original("multilog")), ("ours", ours("multilog"))):
        (folder / name).mkdir(exist_ok=True)
        result = run([program, *script], stdin=stdin, cwd=folder / name)
        results.append((Result(result.code, mask(result.out), mask(result.err)), folder / name))
    return results


@pytest.mark.parametrize(
    "script",
    [
        (),
        ("e",),
        ("e", "e"),
        ("t", "e"),
        ("t",),
        ("./main",),
        ("t", "./main"),
        ("tabula", "./main"),
        ("e", "t", "./main"),
        ("-*", "./main"),
        ("-*", "+*fatal: x", "e", "./main"),
        ("-*", "+*f*:*", "./main", "-three*", "./other"),
        ("t", "-*", "+@*two", "./main"),
        ("-*o*", "=status", "e"),
        ("t", "=status"),
        ("=status", "-*", "=none"),
        ("s4096", "n3", "./main"),
        ("unknown", "x", "", "./main"),
        ("+x", "-", "./main"),
        ("-**", "./main"),
    ],
)
@pytest.mark.parametrize("data", [b"", SOME, LONG, b"no newline", b"\n", b"a\n\nno newline"], ids=range(6))
def test_short_input_gives_the_same_files_and_output(folder: Path, script: tuple[str, ...], data: bytes) -> None:
    theirs, ours_ = both(folder, *script, stdin=data)
    assert ours_[0] == theirs[0]
    assert tree(ours_[1]) == tree(theirs[1])


@pytest.mark.parametrize(
    "script",
    [
        ("s4096", "n9999", "./main"),
        ("t", "s4096", "n9999", "./main"),
        ("n9999", "./main"),
        ("s4096", "n9999", "./main", "-*y", "s8192", "./main/../other"),
        ("t", "s16384", "n9999", "-*y", "./main"),
    ],
)
@pytest.mark.parametrize("data", [MANY, LONG * 20, b"z" * 50_000 + b"\n" + MANY, b"z" * 50_000], ids=range(4))
def test_rotation_keeps_the_same_bytes(folder: Path, script: tuple[str, ...], data: bytes) -> None:
    theirs, ours_ = both(folder, *script, stdin=data)
    assert ours_[0] == theirs[0]
    assert logged(ours_[1]) == logged(theirs[1])
    assert set(tree(ours_[1])) == set(tree(theirs[1]))


def test_logs_of_the_one_are_gone_on_with_by_the_other(folder: Path) -> None:
    for program in (original("multilog"), ours("multilog"), original("multilog"), ours("multilog")):
        assert run([program, "t", "./main"], stdin=SOME, cwd=folder).code == 0
    assert mask((folder / "main" / "current").read_bytes()).count(b"@STAMP two\n") == 4


@pytest.mark.parametrize(
    "prepare",
    [
        "touch main",
        "mkdir main; touch main/lock; exec 9>main/lock; flock 9",
        "mkdir -p main/current",
        "mkdir main; ln -s loop main/current; ln -s current main/loop",
        "mkdir main; echo old >main/current; chmod 644 main/current",
        "mkdir main; echo old >main/current; chmod 744 main/current",
        "mkdir main; echo old >main/previous; chmod 744 main/previous; echo cur >main/current",
        "mkdir main; echo old >main/previous; echo new >main/processed; chmod 744 main/processed",
        "mkdir main; echo old >main/previous; echo half >main/processed; chmod 644 main/processed",
        "mkdir main; echo old >main/previous; ln main/previous main/@400000006b03820a00000001.s",
        "mkdir main; echo s >main/state; echo n >main/newstate",
        "mkdir main; echo s >main/state; echo n >main/newstate; echo c >main/current; chmod 744 main/current",
        "mkdir main; for i in 1 2 3 4 5; do echo $i >main/@400000006b03820a0000000$i.s; done; echo c >main/current",
        "mkdir main; echo odd >main/@odd; echo x >main/@400000006b03820a00000001x; mkdir main/state",
        "mkdir status",
    ],
)
def test_what_it_finds_at_its_start_is_dealt_with_alike(folder: Path, prepare: str) -> None:
    outcomes = []
    for name, program in (("theirs", original("multilog")), ("ours", ours("multilog"))):
        (folder / name).mkdir()
        command = f"{prepare}; exec {program} n3 =status ./main"
        result = run(["sh", "-c", command], stdin=b"line\n", cwd=folder / name)
        outcomes.append((result, tree(folder / name)))
    assert outcomes[1] == outcomes[0]


@pytest.mark.parametrize("word", ["=missing/status", "./missing/main", "/dev/null"])
def test_what_cannot_be_opened_is_named_alike(folder: Path, word: str) -> None:
    theirs, ours_ = both(folder, word)
    assert theirs[0].code == 111
    assert ours_[0] == theirs[0]


def test_the_processor_is_given_the_same_and_leaves_the_same(folder: Path) -> None:
    command = "!cat <&4; echo state >&5; pwd | sed s,/theirs,/ours,; ls | grep -v unwritten; echo $0; wc -l"
    theirs, ours_ = both(folder, "s4096", "n99", command, "./main", stdin=b"w" * 3000 + b"\n" + b"v" * 3000 + b"\n")
    assert ours_[0] == theirs[0]
    assert tree(ours_[1]) == tree(theirs[1])


def test_term_in_mid_line_and_alrm(folder: Path, processes: Processes) -> None:
    outcomes = []
    for name, program in (("theirs", original("multilog")), ("ours", ours("multilog"))):
        home = folder / name
        home.mkdir()
        logger = processes.start([program, "./main"], cwd=home, stdin=subprocess.PIPE)
        assert logger.stdin is not None
        os.write(logger.stdin.fileno(), b"one\n")
        until(partial(holds, home / "main" / "current", b"one\n"))
        logger.send_signal(signal.SIGALRM)
        until(partial(holds, home / "main" / "current", b""))
        os.write(logger.stdin.fileno(), b"two\nthr")
        until(partial(holds, home / "main" / "current", b"two\n"))
        logger.terminate()
        os.write(logger.stdin.fileno(), b"ee\n")
        assert logger.wait(DEADLINE) == 0
        outcomes.append(tree(home))
    assert outcomes[1] == outcomes[0]


def holds(path: Path, data: bytes) -> bool:
    return path.read_bytes() == data
